// Parameter updates and what prepares their gradients.
#pragma once

#include "compiler/ops/op_def.h"

namespace wsi {

extern const OpDef kAccumulateGrad;
extern const OpDef kAdamUpdate;
extern const OpDef kAllFinite;
extern const OpDef kClipScale;
extern const OpDef kMomentumUpdate;
extern const OpDef kSgdUpdate;
extern const OpDef kSquaredNorm;

}  // namespace wsi
