// Workspace: the bytes that a launch's kernel takes beside its operands, known before the run
// and without the device. The planner gives every launch that much of the arena, and the
// backend holds kernels to it. How kernels cut their work, on which the bytes depend, stands
// in this folder alone (cuda_*.h): planner and kernels call the same functions.
#pragma once

#include <string>

#include "runtime/backends/backend.h"
#include "runtime/base/checked.h"
#include "runtime/base/status.h"

namespace wsi {

struct WorkspaceOptions {
  // "cuda"; kernels of the others ("cpu", "reference") have none in the arena.
  std::string device = "cpu";
  // Of cuda: tensor cores of Hopper (compute capability 9.0). Without, enough for any GPU.
  bool hopper = true;
  // Of cuda: what each convolution of cuDNN and each product of cuBLASLt may take; 0: by its
  // operands, at most 256 MiB and 32 MiB.
  Bytes library_bytes = 0;
};

// Of a launch whose operands fit its operator. kInvalidInput, naming the node, where they do
// not.
Result<Bytes> WorkspaceOf(const LaunchSpec& launch, const WorkspaceOptions& options);

}  // namespace wsi
