#include "runtime/backends/cuda/device.cuh"
#include "runtime/backends/cuda/ordered_mean.h"

namespace wsi::cuda {
namespace {

template <typename T>
__global__ void OrderedMeanKernel(const T* parts, T* mean, int64_t count, int ranks, T scale) {
  for (int64_t i = FirstItem(); i < count; i += ItemStride()) {
    T sum = 0;
    for (int r = 0; r < ranks; ++r) sum += parts[r * count + i];
    mean[i] = sum * scale;
  }
}

template <typename T>
void LaunchOrderedMean(const void* parts, void* mean, int64_t count, int ranks,
                       cudaStream_t stream) {
  OrderedMeanKernel<T><<<GridFor(count), kThreads, 0, stream>>>(static_cast<const T*>(parts),
                                                                static_cast<T*>(mean), count, ranks,
                                                                T(1) / static_cast<T>(ranks));
}

}  // namespace

Status OrderedMean(DType dtype, const void* parts, void* mean, int64_t count, int ranks,
                   cudaStream_t stream) {
  if (dtype == DType::kF64) {
    LaunchOrderedMean<double>(parts, mean, count, ranks, stream);
  } else {
    LaunchOrderedMean<float>(parts, mean, count, ranks, stream);
  }
  return LaunchStatus();
}

}  // namespace wsi::cuda
