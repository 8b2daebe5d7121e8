// Gather, GatherElements, ScatterElements and the gradient of Gather.
#pragma once

#include "runtime/backends/cpu/compile.h"

namespace wsi::cpu {

KernelResult CompileGather(const LaunchSpec& launch, Context& context);
KernelResult CompileGatherElements(const LaunchSpec& launch, Context& context);
KernelResult CompileGatherGrad(const LaunchSpec& launch, Context& context);
KernelResult CompileScatterElements(const LaunchSpec& launch, Context& context);

}  // namespace wsi::cpu
