#include "runtime/backends/cuda/device.cuh"
#include "runtime/backends/cuda/sums.h"

namespace wsi::cuda {
namespace {

__global__ void AddKernel(float* total, const float* term, int64_t count) {
  for (int64_t i = FirstItem(); i < count; i += ItemStride()) total[i] += term[i];
}

}  // namespace

Status AddTo(float* total, const float* term, int64_t count, cudaStream_t stream) {
  AddKernel<<<GridFor(count), kThreads, 0, stream>>>(total, term, count);
  return LaunchStatus();
}

}  // namespace wsi::cuda
