// Convolutions of few channels with strides (folding.h) in half precision: first layers.
#pragma once

#include "runtime/backends/cuda/compile.h"
#include "runtime/backends/cuda/convolution_parts.h"

namespace wsi::cuda {

// REQUIRES: PathOf gives kFolded.
KernelResult MakeFoldedConvolution(const LaunchSpec& launch, const Convolution& c,
                                   ConvolutionKind kind, bool bias, Context& context);

}  // namespace wsi::cuda
