#include "runtime/workspace/workspace.h"

#include "runtime/workspace/cuda_workspace.h"

namespace wsi {

Result<Bytes> WorkspaceOf(const LaunchSpec& launch, const WorkspaceOptions& options) {
  if (options.device == "cuda") return cuda::CudaWorkspaceOf(launch, options);
  return Bytes{0};
}

}  // namespace wsi
