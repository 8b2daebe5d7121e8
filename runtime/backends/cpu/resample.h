// Weighted sums of positions along one axis, and their gradient.
#pragma once

#include "runtime/backends/cpu/compile.h"

namespace wsi::cpu {

KernelResult CompileResample(const LaunchSpec& launch, Context& context);
KernelResult CompileResampleGrad(const LaunchSpec& launch, Context& context);

}  // namespace wsi::cpu
