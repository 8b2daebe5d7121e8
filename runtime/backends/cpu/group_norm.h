// Group normalization (instance normalization where a group is one channel) and its
// gradient over channels-last tensors.
#pragma once

#include "runtime/backends/cpu/compile.h"

namespace wsi::cpu {

KernelResult CompileGroupNormalization(const LaunchSpec& launch, Context& context);
KernelResult CompileGroupNormGrad(const LaunchSpec& launch, Context& context);

}  // namespace wsi::cpu
