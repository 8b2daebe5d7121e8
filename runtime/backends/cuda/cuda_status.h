// Errors of the CUDA runtime as Status.
#pragma once

#include <cuda_runtime_api.h>

#include <string_view>

#include "runtime/base/status.h"

namespace wsi::cuda {

// Success, or kDevice with the call and CUDA's own words.
Status ToStatus(cudaError_t error, std::string_view call);

#define WSI_CUDA_STATUS(call) ::wsi::cuda::ToStatus((call), #call)
#define WSI_RETURN_IF_CUDA_ERROR(call) WSI_RETURN_IF_ERROR(WSI_CUDA_STATUS(call))

// What the last launches of kernels reported: bad launches, not what kernels do.
inline Status LaunchStatus() { return ToStatus(cudaGetLastError(), "a kernel's launch"); }

}  // namespace wsi::cuda
