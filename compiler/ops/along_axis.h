// Running sums and order statistics along one axis.
#pragma once

#include "compiler/ops/op_def.h"

namespace wsi {

extern const OpDef kArgMax;
extern const OpDef kArgMin;
extern const OpDef kCumSum;
extern const OpDef kTopK;

}  // namespace wsi
