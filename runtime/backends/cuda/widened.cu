#include "runtime/backends/cuda/device.cuh"
#include "runtime/backends/cuda/widened.h"

namespace wsi::cuda {
namespace {

template <typename T, int W>
__global__ void WidenKernel(const T* from, int64_t packs, float* to) {
  for (int64_t i = FirstItem(); i < packs; i += ItemStride()) {
    float v[W];
    LoadPack<T, W>(from + i * W, v);
    StorePack<float, W>(v, to + i * W);
  }
}

template <typename T>
void WidenAs(const void* from, int64_t count, float* to, cudaStream_t stream) {
  const auto* halves = static_cast<const T*>(from);
  // Slabs begin where rows do, which may be at any element.
  if (count % 8 == 0 && reinterpret_cast<uintptr_t>(from) % 16 == 0) {
    const int64_t packs = count / 8;
    WidenKernel<T, 8><<<GridFor(packs), kThreads, 0, stream>>>(halves, packs, to);
  } else {
    WidenKernel<T, 1><<<GridFor(count), kThreads, 0, stream>>>(halves, count, to);
  }
}

}  // namespace

Status Widen(DType dtype, const void* from, int64_t count, float* to, cudaStream_t stream) {
  if (dtype == DType::kF16) {
    WidenAs<__half>(from, count, to, stream);
  } else {
    WidenAs<__nv_bfloat16>(from, count, to, stream);
  }
  return LaunchStatus();
}

}  // namespace wsi::cuda
