// Batch normalization: as imported, in training, frozen, and their gradients.
// m is the number of positions per channel, xhat = (x - mean) / sqrt(var + epsilon);
// statistics have one entry per channel and at least single precision.
#pragma once

#include "compiler/ops/op_def.h"

namespace wsi {

extern const OpDef kBatchNormApply;
extern const OpDef kBatchNormGradApply;
extern const OpDef kBatchNormGradFrozen;
extern const OpDef kBatchNormGradStats;
extern const OpDef kBatchNormStats;
extern const OpDef kBatchNormTrain;
extern const OpDef kBatchNormalization;
extern const OpDef kMovingAverage;

}  // namespace wsi
