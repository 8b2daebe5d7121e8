#include "runtime/backends/cuda/cuda_status.h"

#include <fmt/format.h>

namespace wsi::cuda {

Status ToStatus(cudaError_t error, std::string_view call) {
  if (error == cudaSuccess) return {};
  return DeviceError(
      fmt::format("CUDA: {}: {} ({})", call, cudaGetErrorString(error), cudaGetErrorName(error)));
}

}  // namespace wsi::cuda
