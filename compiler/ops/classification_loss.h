// Losses of class scores against class numbers. The class axis is axis 1.
#pragma once

#include "compiler/ops/op_def.h"

namespace wsi {

extern const OpDef kNegativeLogLikelihoodGrad;
extern const OpDef kNegativeLogLikelihoodLoss;
extern const OpDef kSoftmaxCrossEntropyGrad;
extern const OpDef kSoftmaxCrossEntropyLoss;

}  // namespace wsi
