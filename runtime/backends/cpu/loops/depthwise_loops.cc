#include "runtime/backends/cpu/loops/depthwise_loops.h"

namespace wsi::cpu::WSI_ISA {
namespace {

constexpr int64_t kBlock = 64;  // Channels whose sums stay in registers.

void GatherBlock(const float* const* a, const float* const* b, int64_t taps, const float* bias,
                 int64_t first, float* y) {
  float sum[kBlock];
  for (int64_t c = 0; c < kBlock; ++c) sum[c] = bias == nullptr ? 0.0F : bias[first + c];
  for (int64_t t = 0; t < taps; ++t) {
    const float* __restrict p = a[t] + first;
    const float* __restrict q = b[t] + first;
    for (int64_t c = 0; c < kBlock; ++c) sum[c] += p[c] * q[c];
  }
  for (int64_t c = 0; c < kBlock; ++c) y[first + c] = sum[c];
}

void Gather(const float* const* a, const float* const* b, int64_t taps, const float* bias,
            int64_t channels, float* y) {
  int64_t first = 0;
  for (; first + kBlock <= channels; first += kBlock) GatherBlock(a, b, taps, bias, first, y);
  if (first == channels) return;
  for (int64_t c = first; c < channels; ++c) y[c] = bias == nullptr ? 0.0F : bias[c];
  for (int64_t t = 0; t < taps; ++t) {
    const float* __restrict p = a[t];
    const float* __restrict q = b[t];
    float* __restrict out = y;
    for (int64_t c = first; c < channels; ++c) out[c] += p[c] * q[c];
  }
}

void Scatter(const float* __restrict dy, const float* const* x, float* const* dw, int64_t taps,
             int64_t channels) {
  for (int64_t t = 0; t < taps; ++t) {
    const float* __restrict p = x[t];
    float* __restrict q = dw[t];
    for (int64_t c = 0; c < channels; ++c) q[c] += p[c] * dy[c];
  }
}

}  // namespace

extern const DepthwiseLoops kDepthwiseLoops = {.gather = Gather, .scatter = Scatter};

}  // namespace wsi::cpu::WSI_ISA
