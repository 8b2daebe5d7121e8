// Whether a gradient may be used.
#pragma once

#include "runtime/backends/cpu/compile.h"

namespace wsi::cpu {

KernelResult CompileAllFinite(const LaunchSpec& launch, Context& context);

}  // namespace wsi::cpu
