// Sums and means over axes, and the norm of a gradient.
#pragma once

#include "runtime/backends/cpu/compile.h"

namespace wsi::cpu {

// ReduceSum and ReduceMean.
KernelResult CompileReduce(const LaunchSpec& launch, Context& context);
KernelResult CompileSquaredNorm(const LaunchSpec& launch, Context& context);
KernelResult CompileClipScale(const LaunchSpec& launch, Context& context);

}  // namespace wsi::cpu
