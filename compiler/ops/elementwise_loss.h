// Losses that compare two tensors of one shape, averaged over all elements.
#pragma once

#include "compiler/ops/op_def.h"

namespace wsi {

extern const OpDef kMeanSquaredError;
extern const OpDef kMeanSquaredErrorGrad;
extern const OpDef kSigmoidCrossEntropyGrad;
extern const OpDef kSigmoidCrossEntropyLoss;

}  // namespace wsi
