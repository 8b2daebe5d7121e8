// Dropout with counter-based random numbers.
#pragma once

#include "runtime/backends/cpu/compile.h"

namespace wsi::cpu {

KernelResult CompileDropout(const LaunchSpec& launch, Context& context);
KernelResult CompileDropoutGrad(const LaunchSpec& launch, Context& context);

}  // namespace wsi::cpu
