// What moves values between tiers and marks the schedule; none of it computes.
#pragma once

#include "compiler/ops/op_def.h"

namespace wsi {

extern const OpDef kCopy;
extern const OpDef kGroupEnd;
extern const OpDef kHold;

}  // namespace wsi
