// CUDA's kernels on the processor, for tests on machines without a GPU: what kernels use of
// the language, and launches. Included before translated sources (translate.py).
//
// Blocks run one after the other and their threads as fibers, switched at barriers and
// shuffles. Shared memory is static, so that one launch runs at a time.
#pragma once

#include <cuda_runtime_api.h>
#include <math.h>

#include <cstdint>
#include <cstring>
#include <functional>
#include <type_traits>

#undef __shared__
#define __shared__ static
#undef __launch_bounds__
#define __launch_bounds__(...)

extern uint3 threadIdx;
extern uint3 blockIdx;
extern dim3 blockDim;
extern dim3 gridDim;

namespace wsi::emulation {

// Returns when every thread of every block has run `thread`.
void Launch(dim3 grid, dim3 block, cudaStream_t stream, const std::function<void()>& thread);
// Goes on when all threads of the block that are left got here.
void Synchronize();
// What each thread of the block has to give to others.
extern uint64_t exchanged[1024];

inline unsigned ThreadNumber() { return threadIdx.y * blockDim.x + threadIdx.x; }

}  // namespace wsi::emulation

inline void __syncthreads() { wsi::emulation::Synchronize(); }

// REQUIRES: all threads of the block call it.
template <typename T>
T __shfl_xor_sync(unsigned, T value, int step) {
  const unsigned thread = wsi::emulation::ThreadNumber();
  std::memcpy(&wsi::emulation::exchanged[thread], &value, sizeof(T));
  wsi::emulation::Synchronize();
  T other;
  std::memcpy(&other, &wsi::emulation::exchanged[thread ^ static_cast<unsigned>(step)], sizeof(T));
  wsi::emulation::Synchronize();
  return other;
}

template <typename A, typename B>
std::common_type_t<A, B> min(A a, B b) {
  return a < b ? a : b;
}

template <typename A, typename B>
std::common_type_t<A, B> max(A a, B b) {
  return a > b ? a : b;
}

inline int __clzll(long long value) { return __builtin_clzll(static_cast<uint64_t>(value)); }

inline unsigned atomicCAS(unsigned* at, unsigned compare, unsigned value) {
  const unsigned old = *at;
  if (old == compare) *at = value;
  return old;
}
inline int atomicAdd(int* at, int value) {
  const int old = *at;
  *at += value;
  return old;
}
