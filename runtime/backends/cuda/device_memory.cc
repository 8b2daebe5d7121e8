#include "runtime/backends/cuda/device_memory.h"

#include <fmt/format.h>

#include <algorithm>

#include "runtime/backends/mapped_arena.h"

namespace wsi::cuda {
namespace {

// Device memory, managed or not.
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

// Why `call` for `bytes` failed.
Status AllocationError(std::string_view what, Bytes bytes, cudaError_t error, const char* call) {
  cudaGetLastError();
  if (error != cudaErrorMemoryAllocation) return ToStatus(error, call);
  size_t free = 0;
  size_t total = 0;
  WSI_RETURN_IF_CUDA_ERROR(cudaMemGetInfo(&free, &total));
  return ResourceError(
      fmt::format("{} needs {}, the device has {} free of {}; plan with a smaller --device-mem",
                  what, FormatBytes(bytes), FormatBytes(static_cast<Bytes>(free)),
                  FormatBytes(static_cast<Bytes>(total))));
}

// Of the calls that give advice on managed memory: the current device, or the host.
#if CUDART_VERSION >= 13000
cudaMemLocation LocationOf(int device, bool on_device) {
  return {.type = on_device ? cudaMemLocationTypeDevice : cudaMemLocationTypeHost,
          .id = on_device ? device : 0};
}
cudaError_t Prefetch(const void* at, size_t bytes, cudaMemLocation to, cudaStream_t stream) {
  return cudaMemPrefetchAsync(at, bytes, to, 0, stream);
}
#else
int LocationOf(int device, bool on_device) { return on_device ? device : cudaCpuDeviceId; }
cudaError_t Prefetch(const void* at, size_t bytes, int to, cudaStream_t stream) {
  return cudaMemPrefetchAsync(at, bytes, to, stream);
}
#endif

}  // namespace

Result<std::byte*> AllocateDeviceBytes(std::string_view what, Bytes bytes) {
  if (bytes < 0) return InternalError("negative size of device memory");
  void* data = nullptr;
  const cudaError_t error = cudaMalloc(&data, static_cast<size_t>(std::max<Bytes>(bytes, 1)));
  if (error == cudaSuccess) return static_cast<std::byte*>(data);
  return AllocationError(what, bytes, error, "cudaMalloc");
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

Result<std::unique_ptr<Arena>> MakeManagedArena(Bytes bytes) {
  int device = 0;
  int concurrent = 0;
  WSI_RETURN_IF_CUDA_ERROR(cudaGetDevice(&device));
  WSI_RETURN_IF_CUDA_ERROR(
      cudaDeviceGetAttribute(&concurrent, cudaDevAttrConcurrentManagedAccess, device));
  if (concurrent == 0) {
    return DeviceError(
        "this device and its driver cannot use managed memory while the host does; use --memory "
        "offload");
  }
  void* data = nullptr;
  const auto size = static_cast<size_t>(std::max<Bytes>(bytes, 1));
  const cudaError_t error = cudaMallocManaged(&data, size, cudaMemAttachGlobal);
  if (error != cudaSuccess) {
    return AllocationError("managed memory", bytes, error, "cudaMallocManaged");
  }
  auto arena = std::make_unique<DeviceArena>(static_cast<std::byte*>(data), bytes);
  WSI_RETURN_IF_CUDA_ERROR(
      cudaMemAdvise(data, size, cudaMemAdviseSetPreferredLocation, LocationOf(device, true)));
  return std::unique_ptr<Arena>(std::move(arena));
}

Status MigratePages(std::byte* memory, Bytes bytes, bool to_device, cudaStream_t stream) {
  if (bytes == 0) return {};
  int device = 0;
  WSI_RETURN_IF_CUDA_ERROR(cudaGetDevice(&device));
  return WSI_CUDA_STATUS(
      Prefetch(memory, static_cast<size_t>(bytes), LocationOf(device, to_device), stream));
}

}  // namespace wsi::cuda
