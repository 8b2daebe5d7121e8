// Every operator that the CPU runs and the function that compiles its launches.
#pragma once

#include <span>
#include <string_view>

#include "runtime/backends/cpu/compile.h"

namespace wsi::cpu {

struct KernelEntry {
  std::string_view op;
  CompileFunction compile;
};

// Sorted by operator.
std::span<const KernelEntry> KernelTable();
// Null if the CPU has no kernel of that name.
const KernelEntry* FindKernel(std::string_view op);

}  // namespace wsi::cpu
