// Operators that draw random numbers.
#pragma once

#include "compiler/ops/op_def.h"

namespace wsi {

extern const OpDef kDropout;
extern const OpDef kDropoutGrad;

}  // namespace wsi
