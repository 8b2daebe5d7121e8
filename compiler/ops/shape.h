// Values known from types and attributes alone.
#pragma once

#include "compiler/ops/op_def.h"

namespace wsi {

extern const OpDef kCastLike;
extern const OpDef kConstantOfShape;
extern const OpDef kFill;
extern const OpDef kRange;
extern const OpDef kShape;
extern const OpDef kSize;

}  // namespace wsi
