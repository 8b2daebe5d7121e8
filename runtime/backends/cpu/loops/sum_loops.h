// Inner loops of reductions.
#pragma once

#include <cstdint>

#include "runtime/backends/cpu/isa.h"

namespace wsi::cpu {

struct SumLoops {
  double (*sum)(const float* x, int64_t n);
  double (*squares)(const float* x, int64_t n);
  // total[j] += sum over r of x[r * stride + j], j < width; `block` is width floats.
  void (*columns)(const float* x, int64_t rows, int64_t stride, int64_t width, double* total,
                  float* block);
};

WSI_DECLARE_LOOPS(SumLoops, kSumLoops);

}  // namespace wsi::cpu
