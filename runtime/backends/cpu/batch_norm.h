// Batch normalization and its gradients over channels-last tensors.
#pragma once

#include "runtime/backends/cpu/compile.h"

namespace wsi::cpu {

KernelResult CompileBatchNormStats(const LaunchSpec& launch, Context& context);
KernelResult CompileBatchNormApply(const LaunchSpec& launch, Context& context);
KernelResult CompileBatchNormGradStats(const LaunchSpec& launch, Context& context);
KernelResult CompileBatchNormGradApply(const LaunchSpec& launch, Context& context);
KernelResult CompileBatchNormGradFrozen(const LaunchSpec& launch, Context& context);

}  // namespace wsi::cpu
