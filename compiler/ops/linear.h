// Matrix products.
#pragma once

#include "compiler/ops/op_def.h"

namespace wsi {

extern const OpDef kGemm;
extern const OpDef kMatMul;

}  // namespace wsi
