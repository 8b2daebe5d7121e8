// Inner loops of reductions.
#pragma once

#include <cstdint>

#include "runtime/backends/cpu/isa.h"
#include "runtime/backends/cpu/storage.h"

namespace wsi::cpu {

template <typename T>
struct SumLoopsOf {
  double (*sum)(const T* x, int64_t n);
  double (*squares)(const T* x, int64_t n);
  // total[j] += sum over r of x[r * stride + j], j < width; `block` is width floats.
  void (*columns)(const T* x, int64_t rows, int64_t stride, int64_t width, double* total,
                  float* block);
};

using SumLoops = ByStorage<SumLoopsOf>;
WSI_DECLARE_LOOPS(SumLoops, kSumLoops);

}  // namespace wsi::cpu
