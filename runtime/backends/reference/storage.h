// Launches whose floats are stored in fewer bits than the 64 that are computed with.
#pragma once

#include "runtime/backends/reference/kernel_table.h"

namespace wsi::reference {

// Compiles with `compile`, which knows f64 alone. Operands of f32, f16 and bf16 are
// converted before the launch and results rounded to nearest even behind it.
KernelResult CompileStored(CompileFunction compile, const LaunchSpec& launch);

// In a kernel that CompileStored compiles: how input 0 is stored, f64 unless narrower.
DType StoredType(const LaunchSpec& launch);
// `value` as it comes back after being stored so.
double Rounded(DType dtype, double value);

}  // namespace wsi::reference
