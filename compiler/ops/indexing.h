// Operators that read or write where an integer tensor says.
#pragma once

#include "compiler/ops/op_def.h"

namespace wsi {

extern const OpDef kGatherElements;
extern const OpDef kGatherGrad;
extern const OpDef kScatterElements;

}  // namespace wsi
