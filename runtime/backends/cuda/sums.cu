#include "runtime/backends/cuda/device.cuh"
#include "runtime/backends/cuda/sums.h"

namespace wsi::cuda {
namespace {

__global__ void AddKernel(float* total, const float* term, int64_t count) {
  for (int64_t i = FirstItem(); i < count; i += ItemStride()) total[i] += term[i];
}

__device__ inline double SumOf(const PartSums& s, int64_t i) {
  const int64_t count = s.rows * s.columns;
  double sum = s.before != nullptr ? static_cast<double>(s.before[i]) : 0.0;
#pragma unroll 4
  for (int64_t p = 0; p < s.part_count; ++p) sum += static_cast<double>(s.parts[p * count + i]);
  return sum;
}

__global__ void KeepKernel(PartSums s, float* to) {
  for (int64_t i = FirstItem(); i < s.rows * s.columns; i += ItemStride()) {
    to[i] = static_cast<float>(SumOf(s, i));
  }
}

template <typename T>
__global__ void StoreKernel(PartSums s, T* y) {
  for (int64_t i = FirstItem(); i < s.rows * s.columns; i += ItemStride()) {
    T& to = y[i / s.columns * s.leading + i % s.columns];
    double v = s.alpha * SumOf(s, i);
    if (s.beta != 0) v += s.beta * static_cast<double>(Load(to));
    Store(v, to);
  }
}

template <typename T>
void StoreAs(const PartSums& s, std::byte* y, cudaStream_t stream) {
  StoreKernel<T><<<GridFor(s.rows * s.columns), kThreads, 0, stream>>>(s, reinterpret_cast<T*>(y));
}

}  // namespace

Status AddTo(float* total, const float* term, int64_t count, cudaStream_t stream) {
  AddKernel<<<GridFor(count), kThreads, 0, stream>>>(total, term, count);
  return LaunchStatus();
}

Status KeepSums(const PartSums& sums, float* to, cudaStream_t stream) {
  KeepKernel<<<GridFor(sums.rows * sums.columns), kThreads, 0, stream>>>(sums, to);
  return LaunchStatus();
}

Status StoreSums(const PartSums& sums, DType dtype, std::byte* y, cudaStream_t stream) {
  switch (dtype) {
    case DType::kF16: StoreAs<__half>(sums, y, stream); break;
    case DType::kBF16: StoreAs<__nv_bfloat16>(sums, y, stream); break;
    default: StoreAs<float>(sums, y, stream);
  }
  return LaunchStatus();
}

}  // namespace wsi::cuda
