// Inner loops of Softmax, LogSoftmax and their gradients: over a line of neighbours, and
// over up to kSoftmaxColumns lines side by side whose elements are `stride` apart.
// Exponentials in fp32; sums of at most 64 terms a lane in fp32, their totals in fp64.
#pragma once

#include <cstdint>

#include "runtime/backends/cpu/isa.h"
#include "runtime/backends/cpu/storage.h"

namespace wsi::cpu {

inline constexpr int64_t kSoftmaxColumns = 128;

template <typename T>
struct SoftmaxLoopsOf {
  // y = e^x / sum of e^x, or its logarithm. y may be x.
  void (*line)(const T* x, int64_t n, bool logarithm, T* y);
  void (*columns)(const T* x, int64_t n, int64_t stride, int64_t width, bool logarithm, T* y);
  // dx = y (dy - sum of dy y); of the logarithm dy - e^y sum of dy. dx may be dy or y.
  void (*grad_line)(const T* dy, const T* y, int64_t n, bool logarithm, T* dx);
  void (*grad_columns)(const T* dy, const T* y, int64_t n, int64_t stride, int64_t width,
                       bool logarithm, T* dx);
};

using SoftmaxLoops = ByStorage<SoftmaxLoopsOf>;
WSI_DECLARE_LOOPS(SoftmaxLoops, kSoftmaxLoops);

}  // namespace wsi::cpu
