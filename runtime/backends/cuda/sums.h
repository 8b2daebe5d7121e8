// Sums of tensors, for code outside of .cu files.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>

#include "runtime/base/dtype.h"
#include "runtime/base/status.h"

namespace wsi::cuda {

// total[i] += term[i]
Status AddTo(float* total, const float* term, int64_t count, cudaStream_t stream);

// Sums in fp64 of fp32 matrices [rows, columns] that lie one behind the other.
struct PartSums {
  const float* parts = nullptr;
  int64_t part_count = 0;
  const float* before = nullptr;  // Added; may be null.
  int64_t rows = 0;
  int64_t columns = 0;
  // Of StoreSums: y = alpha * sum + beta * y, `leading` elements from row to row of y.
  int64_t leading = 0;
  double alpha = 1;
  double beta = 0;
};
// Into `to` [rows, columns], which may be where `before` is.
Status KeepSums(const PartSums& sums, float* to, cudaStream_t stream);
// WANTS: f32, f16 or bf16.
Status StoreSums(const PartSums& sums, DType dtype, std::byte* y, cudaStream_t stream);

}  // namespace wsi::cuda
