// Operators that move elements of any type.
#pragma once

#include "runtime/backends/cpu/compile.h"

namespace wsi::cpu {

KernelResult CompileTranspose(const LaunchSpec& launch, Context& context);
KernelResult CompileConcat(const LaunchSpec& launch, Context& context);
KernelResult CompileSlice(const LaunchSpec& launch, Context& context);
KernelResult CompileSliceGrad(const LaunchSpec& launch, Context& context);
KernelResult CompileExpand(const LaunchSpec& launch, Context& context);
KernelResult CompilePad(const LaunchSpec& launch, Context& context);
KernelResult CompileFill(const LaunchSpec& launch, Context& context);

}  // namespace wsi::cpu
