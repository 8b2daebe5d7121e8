// Inner loops of depthwise convolutions over the channels of one position.
#pragma once

#include <cstdint>

#include "runtime/backends/cpu/isa.h"
#include "runtime/backends/cpu/storage.h"

namespace wsi::cpu {

template <typename T>
struct DepthwiseLoopsOf {
  // y[c] = bias[c] + sum over t of a[t][c] * b[t][c]; bias may be null.
  void (*gather)(const T* const* a, const float* const* b, int64_t taps, const T* bias,
                 int64_t channels, T* y);
  // dw[t][c] += x[t][c] * dy[c].
  void (*scatter)(const T* dy, const T* const* x, float* const* dw, int64_t taps, int64_t channels);
};

using DepthwiseLoops = ByStorage<DepthwiseLoopsOf>;
WSI_DECLARE_LOOPS(DepthwiseLoops, kDepthwiseLoops);

}  // namespace wsi::cpu
