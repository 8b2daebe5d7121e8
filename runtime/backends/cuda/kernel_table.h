// Every operator that there is: the function that compiles its launches, or why there is
// none.
#pragma once

#include <span>
#include <string_view>

#include "runtime/backends/cuda/compile.h"

namespace wsi::cuda {

// Exactly one of compile and none_because.
struct KernelEntry {
  std::string_view op;
  CompileFunction compile = nullptr;
  std::string_view none_because = {};
  JointCompileFunction together = nullptr;  // Null: launches run one by one.
};

// Sorted by operator.
std::span<const KernelEntry> KernelTable();
// Null if the operator is unknown.
const KernelEntry* FindKernel(std::string_view op);

}  // namespace wsi::cuda
