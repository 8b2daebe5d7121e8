// Orders of the elements of a line, for extremes and the largest few.
#pragma once

#include "runtime/backends/cuda/device.cuh"

namespace wsi::cuda {

// Whether a comes before b where larger ones do, or smaller ones unless `largest`; NaN is
// larger than any number.
template <typename C>
__device__ bool Above(C a, C b, bool largest) {
  if (!largest) {
    const C c = a;
    a = b;
    b = c;
  }
  return b == b && (a != a || a > b);
}

template <typename C>
struct Candidate {
  C value{};
  int64_t at = -1;  // In its line; -1: none.
};

// Of equal ones the first in the line comes first, or the last.
struct Order {
  bool largest = true;
  bool last = false;
  template <typename C>
  __device__ bool IsBefore(const Candidate<C>& a, const Candidate<C>& b) const {
    if (a.at < 0 || b.at < 0) return a.at >= 0;
    if (Above(a.value, b.value, largest)) return true;
    if (Above(b.value, a.value, largest)) return false;
    return last ? a.at > b.at : a.at < b.at;
  }
};

// The first in order over threadIdx.y, for each threadIdx.x, in all threads.
// REQUIRES: all threads of the block call it; blockDim.y is a power of two.
template <typename C>
__device__ Candidate<C> FirstOfColumn(const Candidate<C>& mine, const Order& order) {
  __shared__ C values[kThreads];
  __shared__ int64_t places[kThreads];
  const unsigned lane = threadIdx.y * blockDim.x + threadIdx.x;
  Candidate<C> best = mine;
  __syncthreads();  // Of an earlier call, all have read.
  values[lane] = best.value;
  places[lane] = best.at;
  for (unsigned half = blockDim.y / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.y >= half) continue;
    const unsigned other = lane + half * blockDim.x;
    const Candidate<C> theirs = {values[other], places[other]};
    if (!order.IsBefore(theirs, best)) continue;
    best = theirs;
    values[lane] = best.value;
    places[lane] = best.at;
  }
  __syncthreads();
  return {values[threadIdx.x], places[threadIdx.x]};
}

}  // namespace wsi::cuda
