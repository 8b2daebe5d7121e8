// Convolution and its two gradients.
#pragma once

#include "compiler/ops/op_def.h"

namespace wsi {

extern const OpDef kConv;
extern const OpDef kConvInputGrad;
extern const OpDef kConvWeightGrad;

}  // namespace wsi
