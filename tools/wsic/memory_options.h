// The options that say how much memory a step may take, and how.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "passes/fit_memory.h"
#include "runtime/base/status.h"
#include "runtime/workspace/workspace.h"

namespace wsi {

struct MemoryArguments {
  std::string memory = "auto";
  std::string device_mem;
  std::string host_mem;
  std::string spill_mem;
  std::string rates;
  std::string copies = "timed";
  std::string groups = "footprint";
  bool no_recompute = false;
  bool no_offload = false;
  bool keep_state = false;
  std::string library_workspace;
  std::string gpu = "hopper";
};

void AddMemoryOptions(CLI::App& command, MemoryArguments* arguments);

// kUsage for what this version does not do; kResources for budgets above the memory of this
// machine where the plan is for its processor (`device` cpu or reference).
Result<MemoryOptions> ToMemoryOptions(const MemoryArguments& arguments, const std::string& device);

// What kernels of `device` are given beside their operands.
Result<WorkspaceOptions> ToWorkspaceOptions(const MemoryArguments& arguments,
                                            const std::string& device);

}  // namespace wsi
