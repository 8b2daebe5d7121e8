// Interpolation of an image or a volume at positions that another tensor gives.
#pragma once

#include "compiler/ops/op_def.h"

namespace wsi {

extern const OpDef kGridSample;
extern const OpDef kGridSampleGrad;
extern const OpDef kGridSampleGridGrad;

}  // namespace wsi
