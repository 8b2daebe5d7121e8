// Softmax and its logarithm along one axis, and their gradients.
#pragma once

#include "runtime/backends/cpu/compile.h"

namespace wsi::cpu {

// Softmax and LogSoftmax.
KernelResult CompileSoftmax(const LaunchSpec& launch, Context& context);
// SoftmaxGrad and LogSoftmaxGrad: (dy, y).
KernelResult CompileSoftmaxGrad(const LaunchSpec& launch, Context& context);

}  // namespace wsi::cpu
