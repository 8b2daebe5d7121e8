// Layer and root mean square normalization over the last axes, and their gradients.
#pragma once

#include "runtime/backends/cpu/compile.h"

namespace wsi::cpu {

// LayerNormalization, RMSNormalization.
KernelResult CompileRowNorm(const LaunchSpec& launch, Context& context);
// LayerNormGrad, RMSNormGrad.
KernelResult CompileRowNormGrad(const LaunchSpec& launch, Context& context);

}  // namespace wsi::cpu
