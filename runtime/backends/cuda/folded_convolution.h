// Convolutions of few channels with strides (folding.h) in half precision: first layers.
#pragma once

#include "runtime/backends/cuda/compile.h"
#include "runtime/backends/cuda/convolution_parts.h"

namespace wsi::cuda {

// Whether a convolution, or its weight gradient, is computed so: it has at most 4 channels.
bool IsFolded(const Convolution& c, ConvolutionKind kind, const Context& context);

// REQUIRES: IsFolded.
KernelResult MakeFoldedConvolution(const LaunchSpec& launch, const Convolution& c,
                                   ConvolutionKind kind, bool bias, Context& context);

}  // namespace wsi::cuda
