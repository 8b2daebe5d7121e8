// Which operands stay fp32 in a launch whose activations are f16 or bf16.
#pragma once

#include <string_view>

#include "runtime/base/dtype.h"

namespace wsi {

// Losses and updates run in fp32 alone.
bool RunsInHalf(std::string_view op);

// The type of a float operand where activations are `activations`. Norms keep their
// statistics, scales and biases in fp32; gradients of weights come out in fp32.
DType InputTypeOf(std::string_view op, size_t i, DType activations);
DType OutputTypeOf(std::string_view op, size_t i, DType activations);

}  // namespace wsi
