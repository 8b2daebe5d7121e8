#include "runtime/backends/cpu/loops/pooling_loops.h"

namespace wsi::cpu::WSI_ISA {
namespace {

void MaxStep(const float* __restrict x, int64_t channels, int32_t tap, float* __restrict best,
             int32_t* __restrict index) {
  for (int64_t c = 0; c < channels; ++c) {
    const float v = x[c];
    const float b = best[c];
    const int32_t i = index[c];
    const bool wins = (v > b) | ((v != v) & (b == b));
    best[c] = wins ? v : b;
    index[c] = wins ? tap : i;
  }
}

void Narrow(const int32_t* __restrict index, int64_t channels, uint8_t* __restrict out) {
  for (int64_t c = 0; c < channels; ++c) out[c] = static_cast<uint8_t>(index[c]);
}

template <typename Index>
void MaxGrad(const float* __restrict dy, const Index* __restrict index, int64_t channels,
             int32_t tap, float* __restrict dx) {
  for (int64_t c = 0; c < channels; ++c) {
    const float g = dy[c];
    dx[c] += static_cast<int32_t>(index[c]) == tap ? g : 0.0F;
  }
}

void AddScaled(const float* __restrict x, int64_t channels, float factor, float* __restrict y) {
  for (int64_t c = 0; c < channels; ++c) y[c] += x[c] * factor;
}

}  // namespace

extern const PoolingLoops kPoolingLoops = {
    .max_step = MaxStep,
    .narrow = Narrow,
    .max_grad_u8 = MaxGrad<uint8_t>,
    .max_grad_i32 = MaxGrad<int32_t>,
    .add_scaled = AddScaled,
};

}  // namespace wsi::cpu::WSI_ISA
