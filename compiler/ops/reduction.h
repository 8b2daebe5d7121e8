// Reductions over axes.
#pragma once

#include "compiler/ops/op_def.h"

namespace wsi {

extern const OpDef kReduceMax;
extern const OpDef kReduceMean;
extern const OpDef kReduceMin;
extern const OpDef kReduceProd;
extern const OpDef kReduceSum;

}  // namespace wsi
