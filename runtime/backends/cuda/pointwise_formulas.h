// What each operator of pointwise programs is in CUDA.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "runtime/base/dtype.h"
#include "runtime/base/pointwise_program.h"
#include "runtime/base/status.h"

namespace wsi::cuda {

// What steps of `computed` compute in: "float", "double" or an integer type.
std::string_view ComputedName(DType computed);
// Exactly this number, in that type.
std::string NumberText(double number, DType computed);
// An expression of `operands`, the texts of the step's. kInvalidInput where the operator
// has no meaning in that type.
Result<std::string> FormulaText(const PointwiseStep& step, std::span<const std::string> operands,
                                DType computed);

// Functions that the expressions call, over the type V, which is ComputedName.
std::string_view PointwiseFunctions(DType computed);

}  // namespace wsi::cuda
