// Inner loops of depthwise convolutions over the channels of one position.
#pragma once

#include <cstdint>

#include "runtime/backends/cpu/isa.h"

namespace wsi::cpu {

struct DepthwiseLoops {
  // y[c] = bias[c] + sum over t of a[t][c] * b[t][c]; bias may be null.
  void (*gather)(const float* const* a, const float* const* b, int64_t taps, const float* bias,
                 int64_t channels, float* y);
  // dw[t][c] += x[t][c] * dy[c].
  void (*scatter)(const float* dy, const float* const* x, float* const* dw, int64_t taps,
                  int64_t channels);
};

WSI_DECLARE_LOOPS(DepthwiseLoops, kDepthwiseLoops);

}  // namespace wsi::cpu
