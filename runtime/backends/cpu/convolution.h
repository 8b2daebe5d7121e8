// Convolutions and their gradients.
#pragma once

#include "runtime/backends/cpu/compile.h"
#include "runtime/backends/cpu/convolution_slabs.h"

namespace wsi::cpu {

KernelResult CompileConv(const LaunchSpec& launch, Context& context);
KernelResult CompileConvInputGrad(const LaunchSpec& launch, Context& context);
KernelResult CompileConvTranspose(const LaunchSpec& launch, Context& context);
KernelResult CompileConvWeightGrad(const LaunchSpec& launch, Context& context);

// One filter per channel: no product over channels, so the loops are our own.
KernelResult CompileDepthwise(const Convolution& convolution, ConvolutionKind kind,
                              Context& context);

// REQUIRES: convolution.IsPointwise().
KernelResult CompilePointwiseWeightGrad(const Convolution& convolution, Context& context);

// REQUIRES: convolution.window.output_positions() > 0.
KernelResult CompileTapWeightGrad(const Convolution& convolution, Context& context);

}  // namespace wsi::cpu
