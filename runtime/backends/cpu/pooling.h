// Windowed and global pooling over channels-last tensors. Gradients gather, so every
// element is written once and in a fixed order.
#pragma once

#include "runtime/backends/cpu/compile.h"

namespace wsi::cpu {

KernelResult CompileMaxPool(const LaunchSpec& launch, Context& context);
KernelResult CompileMaxPoolGrad(const LaunchSpec& launch, Context& context);
KernelResult CompileAveragePool(const LaunchSpec& launch, Context& context);
KernelResult CompileAveragePoolGrad(const LaunchSpec& launch, Context& context);
KernelResult CompileGlobalAveragePool(const LaunchSpec& launch, Context& context);
KernelResult CompileGlobalAveragePoolGrad(const LaunchSpec& launch, Context& context);
KernelResult CompileGlobalMaxPool(const LaunchSpec& launch, Context& context);
KernelResult CompileGlobalMaxPoolGrad(const LaunchSpec& launch, Context& context);

}  // namespace wsi::cpu
