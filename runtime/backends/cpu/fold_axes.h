// Reductions of any element type by walking each result's terms.
#pragma once

#include "runtime/backends/cpu/compile.h"

namespace wsi::cpu {

// ReduceSum, ReduceMean, ReduceProd, ReduceMax and ReduceMin.
KernelResult CompileFoldAxes(const LaunchSpec& launch, Context& context);

}  // namespace wsi::cpu
