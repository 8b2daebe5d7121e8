// ConvTranspose: the gradient of a convolution with respect to its input, as an operator.
#pragma once

#include "compiler/ops/op_def.h"

namespace wsi {

extern const OpDef kConvTranspose;

}  // namespace wsi
