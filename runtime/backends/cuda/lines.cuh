// Kernels that work along one axis. Rows that lie in one piece get a block each; rows
// across others, as of channels-first scores, a thread each, so that neighbours read
// neighbours.
#pragma once

#include "runtime/backends/cuda/device.cuh"
#include "runtime/backends/rows.h"

namespace wsi::cuda {

// The threads of a row. Sum and Largest: over them, in all of them.
struct BlockOfRow {
  __device__ static int64_t row() { return blockIdx.x; }
  __device__ static int64_t rows() { return gridDim.x; }
  __device__ static int64_t first() { return threadIdx.x; }
  __device__ static int64_t step() { return blockDim.x; }
  template <typename C>
  __device__ static C Sum(C v) {
    return BlockSum(v);
  }
  template <typename C>
  __device__ static C Largest(C v) {
    return BlockMax(v);
  }
};
struct ThreadOfRow {
  __device__ static int64_t row() { return FirstItem(); }
  __device__ static int64_t rows() { return ItemStride(); }
  __device__ static int64_t first() { return 0; }
  __device__ static int64_t step() { return 1; }
  template <typename C>
  __device__ static C Sum(C v) {
    return v;
  }
  template <typename C>
  __device__ static C Largest(C v) {
    return v;
  }
};

// Where row `r` of `rows` begins.
__host__ __device__ inline int64_t StartOf(const Rows& rows, int64_t r) {
  return r / rows.inner_count * rows.length * rows.inner_count + r % rows.inner_count;
}

// run(BlockOfRow() or ThreadOfRow(), blocks, threads)
template <typename F>
void WithThreads(const Rows& rows, const F& run) {
  const int64_t count = rows.outer_count * rows.inner_count;
  if (count == 0 || rows.length == 0) return;
  if (rows.inner_count == 1 && rows.length > 1) {
    const unsigned threads = rows.length <= 128 ? 32 : rows.length <= 4096 ? 128 : 512;
    run(BlockOfRow(), static_cast<unsigned>(std::min<int64_t>(count, 1 << 30)), threads);
  } else {
    run(ThreadOfRow(), GridFor(count), unsigned{kThreads});
  }
}

}  // namespace wsi::cuda
