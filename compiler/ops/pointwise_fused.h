// Fused pointwise operators: one pointwise program as one operator.
#pragma once

#include "compiler/ops/op_def.h"

namespace wsi {

extern const OpDef kPointwise;

}  // namespace wsi
