#include "runtime/backends/cuda/scratch.h"

#include "runtime/backends/cuda/device_memory.h"

namespace wsi::cuda {

Scratch::~Scratch() { cudaFree(data_); }

Status Scratch::Require(Bytes bytes) {
  if (bytes <= bytes_) return {};
  WSI_RETURN_IF_CUDA_ERROR(cudaDeviceSynchronize());
  WSI_RETURN_IF_CUDA_ERROR(cudaFree(data_));
  data_ = nullptr;
  bytes_ = 0;
  WSI_ASSIGN_OR_RETURN(data_, AllocateDeviceBytes("scratch of the kernels", bytes));
  bytes_ = bytes;
  return {};
}

}  // namespace wsi::cuda
