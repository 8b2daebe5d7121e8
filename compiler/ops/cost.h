// Costs that several operator families share.
#pragma once

#include "compiler/ops/op_def.h"

namespace wsi {

using CostFunction = Cost (*)(const OpView&);

// Operands read once and results written once.
double BytesTouched(const OpView& op);
// One operation per element of the first result.
Cost PointwiseCost(const OpView& op);
// One operation per element of input 0.
Cost ReadCost(const OpView& op);
// No arithmetic.
Cost MoveCost(const OpView& op);
// Nothing at all.
Cost ViewCost(const OpView& op);
// `per_element` operations per element of input `i`.
Cost ElementCost(const OpView& op, int i, double per_element);

}  // namespace wsi
