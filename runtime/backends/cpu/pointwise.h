// Elementwise operators, their gradients, comparisons and casts.
#pragma once

#include "runtime/backends/cpu/compile.h"

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

}  // namespace wsi::cpu
