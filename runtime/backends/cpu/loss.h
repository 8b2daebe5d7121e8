// Losses and their gradients. Sums are fp64 throughout.
#pragma once

#include "runtime/backends/cpu/compile.h"

namespace wsi::cpu {

// Class losses: the class axis is axis 1, targets are class numbers.
KernelResult CompileSoftmaxCrossEntropyLoss(const LaunchSpec& launch, Context& context);
KernelResult CompileSoftmaxCrossEntropyGrad(const LaunchSpec& launch, Context& context);
KernelResult CompileNegativeLogLikelihoodLoss(const LaunchSpec& launch, Context& context);
KernelResult CompileNegativeLogLikelihoodGrad(const LaunchSpec& launch, Context& context);
// Element losses: the target has the shape of the input; the mean over all elements.
KernelResult CompileElementLoss(const LaunchSpec& launch, Context& context);
KernelResult CompileElementLossGrad(const LaunchSpec& launch, Context& context);

}  // namespace wsi::cpu
