#include "runtime/backends/cuda/device.cuh"
#include "runtime/backends/cuda/pixels.h"
#include "runtime/base/pixels.h"

namespace wsi::cuda {
namespace {

constexpr int kBytes = 16;  // A thread's, in one access.

template <typename T, int kWidth>
__device__ void Normalize(const uint8_t* rgb, T* to) {
  const auto pack = *reinterpret_cast<const Pack<uint8_t, kWidth>*>(rgb);
  Pack<T, kWidth> out;
#pragma unroll
  for (int i = 0; i < kWidth; ++i) {
    Store(NormalizedPixel(pack.v[i]), out.v[i]);
  }
  *reinterpret_cast<Pack<T, kWidth>*>(to) = out;
}

// `wide`: elements, a multiple of kBytes, that are moved as packs.
template <typename T>
__global__ void FetchKernel(const uint8_t* rgb, int64_t count, int64_t wide, T* to) {
  for (int64_t i = FirstItem() * kBytes; i < wide; i += ItemStride() * kBytes) {
    Normalize<T, kBytes>(rgb + i, to + i);
  }
  for (int64_t i = wide + FirstItem(); i < count; i += ItemStride()) {
    Normalize<T, 1>(rgb + i, to + i);
  }
}

template <typename T>
Status Fetch(const uint8_t* rgb, int64_t count, std::byte* device, cudaStream_t stream) {
  auto* to = reinterpret_cast<T*>(device);
  const bool is_aligned = reinterpret_cast<uintptr_t>(rgb) % kBytes == 0 &&
                          reinterpret_cast<uintptr_t>(to) % sizeof(Pack<T, kBytes>) == 0;
  const int64_t wide = is_aligned ? count / kBytes * kBytes : 0;
  FetchKernel<T><<<GridFor(CeilDiv(count, is_aligned ? kBytes : 1)), kThreads, 0, stream>>>(
      rgb, count, wide, to);
  return LaunchStatus();
}

}  // namespace

Status FetchPixels(std::span<const uint8_t> rgb, DType dtype, std::byte* device,
                   cudaStream_t stream) {
  if (rgb.empty()) return {};
  void* mapped = nullptr;  // Where the device finds them.
  WSI_RETURN_IF_CUDA_ERROR(cudaHostGetDevicePointer(&mapped, const_cast<uint8_t*>(rgb.data()), 0));
  const auto* from = static_cast<const uint8_t*>(mapped);
  const auto count = static_cast<int64_t>(rgb.size());
  switch (dtype) {
    case DType::kF32: return Fetch<float>(from, count, device, stream);
    case DType::kF64: return Fetch<double>(from, count, device, stream);
    case DType::kF16: return Fetch<__half>(from, count, device, stream);
    case DType::kBF16: return Fetch<__nv_bfloat16>(from, count, device, stream);
    default: return InternalError("pixels are written as floats");
  }
}

}  // namespace wsi::cuda
