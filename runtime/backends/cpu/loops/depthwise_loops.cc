#include "runtime/backends/cpu/loops/depthwise_loops.h"

namespace wsi::cpu::WSI_ISA {
namespace {

constexpr int64_t kBlock = 64;  // Channels whose sums stay in registers.

template <typename T>
void GatherBlock(const T* const* a, const float* const* b, int64_t taps, const T* bias,
                 int64_t first, T* y) {
  float sum[kBlock];
  for (int64_t c = 0; c < kBlock; ++c) sum[c] = bias == nullptr ? 0.0F : Load(bias[first + c]);
  for (int64_t t = 0; t < taps; ++t) {
    const T* __restrict p = a[t] + first;
    const float* __restrict q = b[t] + first;
    for (int64_t c = 0; c < kBlock; ++c) sum[c] += Load(p[c]) * q[c];
  }
  for (int64_t c = 0; c < kBlock; ++c) Store(sum[c], y[first + c]);
}

template <typename T>
void GatherRest(const T* const* a, const float* const* b, int64_t taps, const T* bias,
                int64_t first, int64_t width, T* y) {
  float sum[kBlock];
  for (int64_t c = 0; c < width; ++c) sum[c] = bias == nullptr ? 0.0F : Load(bias[first + c]);
  for (int64_t t = 0; t < taps; ++t) {
    const T* __restrict p = a[t] + first;
    const float* __restrict q = b[t] + first;
    for (int64_t c = 0; c < width; ++c) sum[c] += Load(p[c]) * q[c];
  }
  for (int64_t c = 0; c < width; ++c) Store(sum[c], y[first + c]);
}

template <typename T>
void Gather(const T* const* a, const float* const* b, int64_t taps, const T* bias, int64_t channels,
            T* y) {
  int64_t first = 0;
  for (; first + kBlock <= channels; first += kBlock) GatherBlock(a, b, taps, bias, first, y);
  if (first < channels) GatherRest(a, b, taps, bias, first, channels - first, y);
}

template <typename T>
void Scatter(const T* __restrict dy, const T* const* x, float* const* dw, int64_t taps,
             int64_t channels) {
  for (int64_t t = 0; t < taps; ++t) {
    const T* __restrict p = x[t];
    float* __restrict q = dw[t];
    for (int64_t c = 0; c < channels; ++c) q[c] += Load(p[c]) * Load(dy[c]);
  }
}

template <typename T>
constexpr DepthwiseLoopsOf<T> kLoops = {.gather = Gather<T>, .scatter = Scatter<T>};

}  // namespace

extern const DepthwiseLoops kDepthwiseLoops = {kLoops<float>, kLoops<Half>, kLoops<BFloat16>};

}  // namespace wsi::cpu::WSI_ISA
