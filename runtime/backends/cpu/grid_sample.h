// Interpolation of images and volumes at given positions, and its gradients.
#pragma once

#include "runtime/backends/cpu/compile.h"

namespace wsi::cpu {

KernelResult CompileGridSample(const LaunchSpec& launch, Context& context);
KernelResult CompileGridSampleGrad(const LaunchSpec& launch, Context& context);
KernelResult CompileGridSampleGridGrad(const LaunchSpec& launch, Context& context);

}  // namespace wsi::cpu
