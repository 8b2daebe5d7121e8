#include "runtime/backends/cpu/loops/optimizer_loops.h"

namespace wsi::cpu::WSI_ISA {
namespace {

void Sgd(const float* param, const float* grad, int64_t n, const SgdNumbers& numbers, float* out) {
  const SgdNumbers k = numbers;
  WSI_INDEPENDENT
  for (int64_t i = 0; i < n; ++i) {
    const float g = grad[i] * k.scale + k.weight_decay * param[i];
    out[i] = param[i] - k.lr * g;
  }
}

void Momentum(const float* param, const float* grad, const float* velocity, int64_t n,
              const SgdNumbers& numbers, float* out, float* velocity_out) {
  const SgdNumbers k = numbers;
  // Nesterov's step is g + momentum * v', the plain one v'.
  const float of_gradient = k.nesterov ? 1.0F : 0.0F;
  const float of_velocity = k.nesterov ? k.momentum : 1.0F;
  WSI_INDEPENDENT
  for (int64_t i = 0; i < n; ++i) {
    const float g = grad[i] * k.scale + k.weight_decay * param[i];
    const float v = k.momentum * velocity[i] + g;
    out[i] = param[i] - k.lr * (of_gradient * g + of_velocity * v);
    velocity_out[i] = v;
  }
}

void Adam(const float* param, const float* grad, const float* m, const float* v, int64_t n,
          const AdamNumbers& numbers, float* out, float* m_out, float* v_out) {
  const AdamNumbers k = numbers;
  WSI_INDEPENDENT
  for (int64_t i = 0; i < n; ++i) {
    const float p = param[i];
    const float g = grad[i] * k.scale + k.decay * p;
    const float m1 = m[i] + (g - m[i]) * (1.0F - k.beta1);
    const float v1 = k.beta2 * v[i] + (1.0F - k.beta2) * g * g;
    const float denominator = __builtin_sqrtf(v1) * k.inverse_bias2 + k.epsilon;
    out[i] = p * k.shrink - k.step_size * (m1 / denominator);
    m_out[i] = m1;
    v_out[i] = v1;
  }
}

// Infinities and NaNs have an exponent of ones: adding one to it carries into the sign.
bool AllFinite(const float* x, int64_t n) {
  uint32_t carried = 0;
  for (int64_t i = 0; i < n; ++i) {
    uint32_t bits;
    __builtin_memcpy(&bits, x + i, sizeof(bits));
    carried |= (bits & 0x7FFFFFFFU) + 0x00800000U;
  }
  return (carried & 0x80000000U) == 0;
}

}  // namespace

extern const OptimizerLoops kOptimizerLoops = {
    .sgd = Sgd,
    .momentum = Momentum,
    .adam = Adam,
    .all_finite = AllFinite,
};

}  // namespace wsi::cpu::WSI_ISA
