// The CUDA text of pointwise kernels.
#pragma once

#include <span>
#include <string>

#include "runtime/base/dtype.h"
#include "runtime/base/pointwise_program.h"
#include "runtime/base/status.h"

namespace wsi::cuda {

// What a pointwise kernel is apart from the sizes of its operands.
struct PointwiseSource {
  // Null: a cast of the only input.
  const PointwiseProgram* program = nullptr;
  std::span<const DType> inputs;
  DType output = DType::kF32;
  DType computed = DType::kF32;  // What steps compute in: f32, f64 or an integer's.
  // Of elements next to each other along the innermost axis, which a thread computes.
  int width = 1;
  // By input: whether it stands still along the innermost axis.
  std::span<const bool> still;
  int rank = 1;  // Of the axes, at least 1.
};

inline constexpr const char* kPointwiseKernel = "pointwise";

// The text of
//   pointwise(Operands operands, Axes axes, long long packs)
// where Operands holds the addresses of the inputs and of the output behind them, and Axes
// the axes' sizes and, for each operand, strides, as 64-bit numbers; `packs` is the number
// of packs of `width` elements. kInvalidInput where a step cannot compute in that type.
Result<std::string> MakePointwiseSource(const PointwiseSource& source);

}  // namespace wsi::cuda
