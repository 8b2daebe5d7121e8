// Weight gradients of convolutions in half precision, by own kernels on tensor cores.
#pragma once

#include "runtime/backends/cuda/compile.h"
#include "runtime/backends/window.h"

namespace wsi::cuda {

// A kernel of inputs x and dy and output dw in fp32, channels last, one group.
// REQUIRES: x and dy are both f16 or both bf16.
KernelResult MakeWeightGrad(const LaunchSpec& launch, const Window& window, Context& context);

}  // namespace wsi::cuda
