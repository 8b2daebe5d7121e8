// Softmax along an axis, its logarithm and their gradients.
#pragma once

#include "compiler/ops/op_def.h"

namespace wsi {

extern const OpDef kLogSoftmax;
extern const OpDef kLogSoftmaxGrad;
extern const OpDef kSoftmax;
extern const OpDef kSoftmaxGrad;

}  // namespace wsi
