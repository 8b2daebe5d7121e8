#include "runtime/backends/cpu/loops/pooling_loops.h"

namespace wsi::cpu::WSI_ISA {
namespace {

template <typename T>
void MaxStep(const T* __restrict x, int64_t channels, int32_t tap, T* __restrict best,
             int32_t* __restrict index) {
  for (int64_t c = 0; c < channels; ++c) {
    const T from = x[c];
    const T old = best[c];
    const float v = Load(from);
    const float b = Load(old);
    const int32_t i = index[c];
    const bool wins = (v > b) | ((v != v) & (b == b));
    best[c] = wins ? from : old;
    index[c] = wins ? tap : i;
  }
}

void Narrow(const int32_t* __restrict index, int64_t channels, uint8_t* __restrict out) {
  for (int64_t c = 0; c < channels; ++c) out[c] = static_cast<uint8_t>(index[c]);
}

template <typename T, typename Index>
void MaxGrad(const T* __restrict dy, const Index* __restrict index, int64_t channels, int32_t tap,
             float* __restrict dx) {
  for (int64_t c = 0; c < channels; ++c) {
    const float g = Load(dy[c]);
    dx[c] += static_cast<int32_t>(index[c]) == tap ? g : 0.0F;
  }
}

template <typename T>
void AddScaled(const T* __restrict x, int64_t channels, float factor, float* __restrict y) {
  for (int64_t c = 0; c < channels; ++c) y[c] += Load(x[c]) * factor;
}

template <typename T>
constexpr PoolingLoopsOf<T> kLoops = {
    .max_step = MaxStep<T>,
    .narrow = Narrow,
    .max_grad_u8 = MaxGrad<T, uint8_t>,
    .max_grad_i32 = MaxGrad<T, int32_t>,
    .add_scaled = AddScaled<T>,
};

}  // namespace

extern const PoolingLoops kPoolingLoops = {kLoops<float>, kLoops<Half>, kLoops<BFloat16>};

}  // namespace wsi::cpu::WSI_ISA
