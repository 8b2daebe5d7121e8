// Elementwise operators, their gradients, comparisons and casts.
#pragma once

#include <span>
#include <string_view>

#include "runtime/backends/cpu/compile.h"
#include "runtime/backends/cpu/loops/pointwise_loops.h"

namespace wsi::cpu {

// Relu, Sigmoid, ..., Identity: one operand.
KernelResult CompileUnary(const LaunchSpec& launch, Context& context);
// Add, ..., and the gradients, which take (dy, x or y): two operands.
KernelResult CompileBinary(const LaunchSpec& launch, Context& context);
// Equal, Less, Greater: bool results.
KernelResult CompileCompare(const LaunchSpec& launch, Context& context);
// Not, And, Or on bool.
KernelResult CompileLogical(const LaunchSpec& launch, Context& context);
KernelResult CompileWhere(const LaunchSpec& launch, Context& context);
KernelResult CompileCast(const LaunchSpec& launch, Context& context);
KernelResult CompileIdentity(const LaunchSpec& launch, Context& context);
// Pointwise: a program of the above.
KernelResult CompilePointwise(const LaunchSpec& launch, Context& context);

// The loop of a float operator, or null: no operator of that many operands is called so.
template <typename R>
typename PointwiseLoopsOf<R>::UnaryLoop FindUnaryLoop(std::string_view op);
template <typename R>
typename PointwiseLoopsOf<R>::BinaryLoop FindBinaryLoop(std::string_view op);
// A loop's numbers; infinite ones become the largest finite ones, as ONNX's defaults of Clip.
template <typename R>
PointwiseNumbers<R> LoopNumbers(std::span<const double, 2> numbers);

}  // namespace wsi::cpu
