// The workspaces of CUDA launches, by operator.
#pragma once

#include "runtime/workspace/workspace.h"

namespace wsi::cuda {

Result<Bytes> CudaWorkspaceOf(const LaunchSpec& launch, const WorkspaceOptions& options);

}  // namespace wsi::cuda
