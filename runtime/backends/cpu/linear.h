// Matrix products.
#pragma once

#include "runtime/backends/cpu/compile.h"

namespace wsi::cpu {

KernelResult CompileGemm(const LaunchSpec& launch, Context& context);
KernelResult CompileMatMul(const LaunchSpec& launch, Context& context);

}  // namespace wsi::cpu
