// What means and variances of columns are made of.
#pragma once

#include "runtime/backends/cuda/column_sums.cuh"

namespace wsi::cuda {

// Sums of x - shift and its square for each image and column, shift being the first row's
// element: close enough to the mean that nothing cancels.
template <typename T>
struct MomentTerms {
  using Element = T;
  static constexpr int kTerms = 2;
  static constexpr int kReads = 1;
  static constexpr int kPresent = 1;
  static constexpr int kFactors = 1;  // The shift.
  const T* from[1];                   // x
  ColumnShape shape;
  __device__ void Prepare(int64_t n, int64_t column, float (&factors)[kFactors]) const {
    factors[0] = Load(from[0][shape.At(n, 0, column)]);
  }
  template <int W>
  __device__ void Add(const Factors<W, MomentTerms>& shift, const float (&v)[kReads][W], int64_t,
                      int64_t, float (&sums)[2][W]) const {
#pragma unroll
    for (int i = 0; i < W; ++i) {
      const float d = v[0][i] - shift[0][i];
      sums[0][i] += d;
      sums[1][i] = fmaf(d, d, sums[1][i]);
    }
  }
};

}  // namespace wsi::cuda
