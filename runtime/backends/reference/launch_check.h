// Checks of launches in fp64, and what kernels are made with.
#pragma once

#include "runtime/backends/function_kernel.h"
#include "runtime/backends/launch_check.h"
#include "runtime/backends/reference/kernel_table.h"

namespace wsi::reference {

// The letters of operands: F f64, L i64, B bool, X u8 or i32, * any type.
class LaunchCheck : public wsi::LaunchCheck {
 public:
  // Borrows the launch.
  explicit LaunchCheck(const LaunchSpec& launch);
};

}  // namespace wsi::reference
