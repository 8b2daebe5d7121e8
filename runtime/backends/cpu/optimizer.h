// Parameter updates, in place over parameters and their state.
#pragma once

#include "runtime/backends/cpu/compile.h"

namespace wsi::cpu {

KernelResult CompileSgdUpdate(const LaunchSpec& launch, Context& context);
KernelResult CompileMomentumUpdate(const LaunchSpec& launch, Context& context);
KernelResult CompileAdamUpdate(const LaunchSpec& launch, Context& context);

}  // namespace wsi::cpu
