#include "runtime/backends/cuda/faults.h"

#include <fmt/format.h>

#include "runtime/backends/cuda/cuda_status.h"

namespace wsi::cuda {

Faults::~Faults() {
  cudaFree(device_);
  cudaFreeHost(host_);
}

Status Faults::Allocate() {
  void* memory = nullptr;
  WSI_RETURN_IF_CUDA_ERROR(cudaMalloc(&memory, sizeof(FaultRecord)));
  device_ = static_cast<FaultRecord*>(memory);
  WSI_RETURN_IF_CUDA_ERROR(cudaMemset(device_, 0, sizeof(FaultRecord)));
  WSI_RETURN_IF_CUDA_ERROR(cudaMallocHost(&memory, sizeof(FaultRecord)));
  host_ = static_cast<FaultRecord*>(memory);
  return {};
}

int Faults::Register(std::string message) {
  messages_.push_back(std::move(message));
  return static_cast<int>(messages_.size()) - 1;
}

Status Faults::Synchronize(CUstream_st* stream) {
  if (messages_.empty()) return WSI_CUDA_STATUS(cudaStreamSynchronize(stream));
  WSI_RETURN_IF_CUDA_ERROR(
      cudaMemcpyAsync(host_, device_, sizeof(FaultRecord), cudaMemcpyDeviceToHost, stream));
  WSI_RETURN_IF_CUDA_ERROR(cudaStreamSynchronize(stream));
  const FaultRecord fault = *host_;
  if (fault.place == 0) return {};
  WSI_RETURN_IF_CUDA_ERROR(cudaMemsetAsync(device_, 0, sizeof(FaultRecord), stream));
  WSI_RETURN_IF_CUDA_ERROR(cudaStreamSynchronize(stream));
  WSI_CHECK(fault.place <= messages_.size());
  std::string message = messages_[fault.place - 1];
  const size_t at = message.find("{}");
  if (at != std::string::npos) message.replace(at, 2, fmt::format("{}", fault.value));
  return InvalidInput(std::move(message));
}

}  // namespace wsi::cuda
