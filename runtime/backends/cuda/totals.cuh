// A few numbers summed over many items in fp64, in two steps of fixed order.
#pragma once

#include "runtime/backends/cuda/device.cuh"

namespace wsi::cuda {

// f.Add(item, double (&sums)[kTerms]); partial: [kTerms][blocks].
template <typename F>
__global__ void PartialTotals(F f, int64_t items, double* partial) {
  double sums[F::kTerms] = {};
  for (int64_t i = FirstItem(); i < items; i += ItemStride()) f.Add(i, sums);
#pragma unroll
  for (int k = 0; k < F::kTerms; ++k) {
    const double sum = BlockSum(sums[k]);
    if (threadIdx.x == 0) partial[k * gridDim.x + blockIdx.x] = sum;
  }
}

// One block. finish(const double (&sums)[kTerms])
template <int kTerms, typename Finish>
__global__ void FinishTotals(const double* partial, unsigned blocks, Finish finish) {
  double totals[kTerms];
#pragma unroll
  for (int k = 0; k < kTerms; ++k) {
    double sum = 0;
    for (unsigned b = threadIdx.x; b < blocks; b += blockDim.x) sum += partial[k * blocks + b];
    totals[k] = BlockSum(sum);
  }
  if (threadIdx.x == 0) finish(totals);
}

// `workspace`: where TotalsBytes(F::kTerms, items) are free.
template <typename F, typename Finish>
void RunTotals(const F& f, int64_t items, const Finish& finish, double* workspace,
               cudaStream_t stream) {
  const auto blocks = static_cast<unsigned>(TotalBlocks(items));
  PartialTotals<<<blocks, kThreads, 0, stream>>>(f, items, workspace);
  FinishTotals<F::kTerms><<<1, kThreads, 0, stream>>>(workspace, blocks, finish);
}

}  // namespace wsi::cuda
