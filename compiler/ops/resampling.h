// Weighted sums of positions along one axis: what resizing an image is made of.
#pragma once

#include "compiler/ops/op_def.h"

namespace wsi {

extern const OpDef kResample;
extern const OpDef kResampleGrad;

}  // namespace wsi
