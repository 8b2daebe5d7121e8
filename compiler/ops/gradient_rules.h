// What gradient rules are written with, beside GradBuilder and SumToShape.
#pragma once

#include <string_view>

#include "compiler/ops/op_def.h"

namespace wsi {

inline constexpr std::string_view kNoSecondDerivative = "second derivatives are not taken";

// The gradient of input i becomes `gradient`, or its error is returned.
Status SetGrad(GradBuilder& g, int i, Result<ValueId> gradient);
// The same for an operand that broadcasting stretched to the shape of output 0, which
// `gradient` has.
Status SetBroadcastGrad(GradBuilder& g, int i, Result<ValueId> gradient);
// A scalar constant of the type of output 0.
Result<ValueId> EmitScalar(GradBuilder& g, double value);
// value * scale.
Result<ValueId> EmitScaled(GradBuilder& g, ValueId value, double scale);
// An output that the node may lack so far.
ValueId NeedOutput(GradBuilder& g, int i);
// An error if a gradient reaches an output behind the first.
Status OnlyFirstOutput(const GradBuilder& g);

}  // namespace wsi
