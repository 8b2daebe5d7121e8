#include "runtime/backends/cuda/device_memory.h"

#include <fmt/format.h>

#include <algorithm>

#include "runtime/backends/mapped_arena.h"

namespace wsi::cuda {
namespace {

class DeviceArena final : public Arena {
 public:
  DeviceArena(std::byte* data, Bytes size) : data_(data), size_(size) {}
  ~DeviceArena() override { cudaFree(data_); }
  DeviceArena(const DeviceArena&) = delete;
  DeviceArena& operator=(const DeviceArena&) = delete;
  std::byte* data() override { return data_; }
  Bytes size() const override { return size_; }

 private:
  std::byte* data_;
  Bytes size_;
};

class PinnedArena final : public Arena {
 public:
  explicit PinnedArena(std::unique_ptr<Arena> memory) : memory_(std::move(memory)) {}
  ~PinnedArena() override {
    if (is_pinned_) cudaHostUnregister(memory_->data());
  }
  PinnedArena(const PinnedArena&) = delete;
  PinnedArena& operator=(const PinnedArena&) = delete;
  Status Pin() {
    if (size() == 0) return {};
    const cudaError_t error = cudaHostRegister(
        memory_->data(), static_cast<size_t>(memory_->size()), cudaHostRegisterDefault);
    is_pinned_ = error == cudaSuccess;
    if (is_pinned_) return {};
    cudaGetLastError();  // Not sticky: whoever asks next is not to see it.
    return ResourceError(fmt::format(
        "host arena: {} cannot be pinned ({}), available {}; raise the limit of locked memory "
        "(ulimit -l) or plan with a smaller --host-mem",
        FormatBytes(size()), cudaGetErrorString(error), FormatBytes(AvailableMemory())));
  }
  std::byte* data() override { return memory_->data(); }
  Bytes size() const override { return memory_->size(); }

 private:
  std::unique_ptr<Arena> memory_;
  bool is_pinned_ = false;
};

}  // namespace

Result<std::byte*> AllocateDeviceBytes(std::string_view what, Bytes bytes) {
  if (bytes < 0) return InternalError("negative size of device memory");
  void* data = nullptr;
  const cudaError_t error = cudaMalloc(&data, static_cast<size_t>(std::max<Bytes>(bytes, 1)));
  if (error == cudaSuccess) return static_cast<std::byte*>(data);
  cudaGetLastError();
  if (error != cudaErrorMemoryAllocation) return ToStatus(error, "cudaMalloc");
  size_t free = 0;
  size_t total = 0;
  WSI_RETURN_IF_CUDA_ERROR(cudaMemGetInfo(&free, &total));
  return ResourceError(
      fmt::format("{} needs {}, the device has {} free of {}; plan with a smaller --device-mem",
                  what, FormatBytes(bytes), FormatBytes(static_cast<Bytes>(free)),
                  FormatBytes(static_cast<Bytes>(total))));
}

Result<std::unique_ptr<Arena>> MakeDeviceArena(Bytes bytes) {
  WSI_ASSIGN_OR_RETURN(std::byte * data, AllocateDeviceBytes("device arena", bytes));
  return std::unique_ptr<Arena>(std::make_unique<DeviceArena>(data, bytes));
}

Result<std::unique_ptr<Arena>> MakePinnedArena(Bytes bytes, Bytes* reserved) {
  WSI_ASSIGN_OR_RETURN(std::unique_ptr<Arena> memory, MapArena("host", bytes, reserved));
  auto arena = std::make_unique<PinnedArena>(std::move(memory));
  WSI_RETURN_IF_ERROR(arena->Pin());
  return std::unique_ptr<Arena>(std::move(arena));
}

}  // namespace wsi::cuda
