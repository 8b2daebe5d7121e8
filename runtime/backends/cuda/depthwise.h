// Depthwise convolutions, as many groups as input channels, by kernels of our own: cuDNN's
// engines for them give wrong results in some versions, and none sums halves in fp32.
#pragma once

#include "runtime/backends/cuda/compile.h"
#include "runtime/backends/window.h"

namespace wsi::cuda {

// Of launches that are checked; `window` is the forward convolution's, whose output
// channels are a multiple of its input channels. Operands as those of the operators.
KernelResult CompileDepthwise(const LaunchSpec& launch, const Window& window, Context& context);
KernelResult CompileDepthwiseInputGrad(const LaunchSpec& launch, const Window& window,
                                       Context& context);
KernelResult CompileDepthwiseWeightGrad(const LaunchSpec& launch, const Window& window,
                                        Context& context);

}  // namespace wsi::cuda
