// Inner loops of parameter updates. Every output may be the state it replaces.
#pragma once

#include <cstdint>

#include "runtime/backends/cpu/isa.h"

namespace wsi::cpu {

struct SgdNumbers {
  float lr = 0;
  float scale = 1;  // Multiplies the gradient.
  float weight_decay = 0;
  float momentum = 0;
  bool nesterov = false;
};
struct AdamNumbers {
  float scale = 1;
  float beta1 = 0;
  float beta2 = 0;
  float epsilon = 0;
  float decay = 0;   // Added to the gradient, times the parameter.
  float shrink = 1;  // Multiplies the parameter: decoupled weight decay.
  float step_size = 0;
  float inverse_bias2 = 1;  // 1 / sqrt(1 - beta2^step)
};

struct OptimizerLoops {
  void (*sgd)(const float* param, const float* grad, int64_t n, const SgdNumbers& k, float* out);
  void (*momentum)(const float* param, const float* grad, const float* velocity, int64_t n,
                   const SgdNumbers& k, float* out, float* velocity_out);
  void (*adam)(const float* param, const float* grad, const float* m, const float* v, int64_t n,
               const AdamNumbers& k, float* out, float* m_out, float* v_out);
  bool (*all_finite)(const float* x, int64_t n);
};

WSI_DECLARE_LOOPS(OptimizerLoops, kOptimizerLoops);

}  // namespace wsi::cpu
