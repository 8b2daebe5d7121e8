// Running sums, extremes' positions and the largest elements along one axis.
#pragma once

#include "runtime/backends/cpu/compile.h"

namespace wsi::cpu {

KernelResult CompileArgExtreme(const LaunchSpec& launch, Context& context);  // ArgMax, ArgMin
KernelResult CompileCumSum(const LaunchSpec& launch, Context& context);
KernelResult CompileTopK(const LaunchSpec& launch, Context& context);

}  // namespace wsi::cpu
