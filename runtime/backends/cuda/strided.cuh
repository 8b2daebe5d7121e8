// Positions in strided tensors: the axes of a launch, merged where they can be.
#pragma once

#include <array>

#include "runtime/backends/cuda/device.cuh"
#include "runtime/backends/strides.h"

namespace wsi::cuda {

// Up to kMaxRank axes, the innermost last, along which N tensors move by strides of
// their own.
template <int N>
struct Axes {
  int rank = 0;
  int64_t sizes[Shape::kMaxRank] = {};
  int64_t strides[N][Shape::kMaxRank] = {};
  int64_t start[N] = {};

  __host__ __device__ int64_t Count() const {
    int64_t count = 1;
    for (int i = 0; i < rank; ++i) count *= sizes[i];
    return count;
  }
  // Where element `index` of the row-major box lies in each tensor.
  __device__ void Locate(int64_t index, int64_t (&at)[N]) const {
#pragma unroll
    for (int n = 0; n < N; ++n) at[n] = start[n] + (rank == 1 ? index * strides[n][0] : 0);
    if (rank == 1) return;
    for (int i = rank - 1; i >= 0; --i) {
      const int64_t rest = index / sizes[i];
      const int64_t along = index - rest * sizes[i];
#pragma unroll
      for (int n = 0; n < N; ++n) at[n] += along * strides[n][i];
      index = rest;
    }
  }
};

// Axes of size 1 are left out; neighbours that all tensors step through alike become one.
template <int N>
Axes<N> Merge(int rank, const AxisArray& sizes, const std::array<AxisArray, N>& strides) {
  Axes<N> axes;
  for (size_t i = 0; i < static_cast<size_t>(rank); ++i) {
    if (sizes[i] == 1) continue;
    const int last = axes.rank - 1;
    bool joins = last >= 0;
    for (size_t n = 0; joins && n < N; ++n) {
      joins = axes.strides[n][last] == strides[n][i] * sizes[i];
    }
    const int to = joins ? last : axes.rank++;
    axes.sizes[to] = (joins ? axes.sizes[to] : 1) * sizes[i];
    for (size_t n = 0; n < N; ++n) axes.strides[n][to] = strides[n][i];
  }
  return axes;
}

}  // namespace wsi::cuda
