// The arithmetic of parameter updates, as PyTorch's optimizers do it: each rule prepares
// what all elements share and applies it to one element and its states. Fused sums are
// written out, so that all kernels round alike.
#pragma once

#include "runtime/backends/cuda/device.cuh"

namespace wsi::cuda {

struct Sgd {
  bool operator==(const Sgd&) const = default;
  static constexpr int kStates = 0;
  double weight_decay;
  struct Step {
    float lr, decay;
  };
  __device__ Step Prepare(double lr, double) const {
    return {static_cast<float>(lr), static_cast<float>(weight_decay)};
  }
  __device__ static void Apply(const Step& s, float g, float& param, float (&)[2]) {
    param = fmaf(-s.lr, fmaf(s.decay, param, g), param);
  }
};

struct Momentum {
  bool operator==(const Momentum&) const = default;
  static constexpr int kStates = 1;
  double momentum;
  double weight_decay;
  bool nesterov;
  struct Step {
    float lr, decay, momentum;
    bool nesterov;
  };
  __device__ Step Prepare(double lr, double) const {
    return {static_cast<float>(lr), static_cast<float>(weight_decay), static_cast<float>(momentum),
            nesterov};
  }
  __device__ static void Apply(const Step& s, float g, float& param, float (&state)[2]) {
    g = fmaf(s.decay, param, g);
    state[0] = fmaf(s.momentum, state[0], g);
    param = fmaf(-s.lr, s.nesterov ? fmaf(s.momentum, state[0], g) : state[0], param);
  }
};

// Kingma and Ba, 2015; decoupled decay of Loshchilov and Hutter, 2019.
struct Adam {
  bool operator==(const Adam&) const = default;
  static constexpr int kStates = 2;
  double beta1;
  double beta2;
  double epsilon;
  double weight_decay;
  bool decoupled;
  struct Step {
    float beta1, rest1, beta2, rest2, epsilon, decay, keep, rate, root;
  };
  __device__ Step Prepare(double lr, double step) const {
    const double correction1 = 1 - pow(beta1, step);
    const double correction2 = 1 - pow(beta2, step);
    return {static_cast<float>(beta1),
            static_cast<float>(1 - beta1),
            static_cast<float>(beta2),
            static_cast<float>(1 - beta2),
            static_cast<float>(epsilon),
            static_cast<float>(decoupled ? 0 : weight_decay),
            static_cast<float>(decoupled ? 1 - lr * weight_decay : 1),
            static_cast<float>(lr / correction1),
            static_cast<float>(1 / sqrt(correction2))};
  }
  __device__ static void Apply(const Step& s, float g, float& param, float (&state)[2]) {
    g = fmaf(s.decay, param, g);
    state[0] = fmaf(s.beta1, state[0], s.rest1 * g);
    state[1] = fmaf(s.beta2, state[1], s.rest2 * g * g);
    const float by = s.rate * state[0] / fmaf(sqrtf(state[1]), s.root, s.epsilon);
    param = fmaf(param, s.keep, -by);
  }
};

__host__ __device__ inline bool IsAligned(const void* at) {
  return reinterpret_cast<uintptr_t>(at) % 16 == 0;
}

// What an update reads and writes.
template <typename G>
struct Updated {
  int64_t count;
  const float* param;
  const G* grad;
  const float* state[2];
  float* param_out;
  float* state_out[2];
  bool wide;  // Every address is a multiple of 16.

  static Updated Of(int64_t count, int states, const LaunchArguments& a) {
    Updated u{};
    u.count = count;
    u.param = a.input<float>(0);
    u.grad = a.input<G>(1);
    u.param_out = a.output<float>(0);
    u.wide = IsAligned(u.param) && IsAligned(u.grad) && IsAligned(u.param_out);
    for (int k = 0; k < states; ++k) {
      u.state[k] = a.input<float>(static_cast<size_t>(2 + k));
      u.state_out[k] = a.output<float>(static_cast<size_t>(1 + k));
      u.wide = u.wide && IsAligned(u.state[k]) && IsAligned(u.state_out[k]);
    }
    return u;
  }
};

// `kWidth` elements from `i` on.
template <typename Rule, typename G, int kWidth>
__device__ void UpdateElements(const Updated<G>& u, const typename Rule::Step& step, float scale,
                               bool skip, int64_t i) {
  float param[kWidth];
  float grad[kWidth];
  float state[2][kWidth] = {};
  LoadPack<float, kWidth>(u.param + i, param);
  LoadPack<G, kWidth>(u.grad + i, grad);
#pragma unroll
  for (int k = 0; k < Rule::kStates; ++k) LoadPack<float, kWidth>(u.state[k] + i, state[k]);
#pragma unroll
  for (int e = 0; e < kWidth; ++e) {
    float own[2] = {state[0][e], state[1][e]};
    if (!skip) Rule::Apply(step, grad[e] * scale, param[e], own);
    state[0][e] = own[0];
    state[1][e] = own[1];
  }
  StorePack<float, kWidth>(param, u.param_out + i);
#pragma unroll
  for (int k = 0; k < Rule::kStates; ++k) StorePack<float, kWidth>(state[k], u.state_out[k] + i);
}

// The rules of a launch's attributes; check.status() says what is wrong with them.
inline Sgd ReadSgd(LaunchCheck& check) { return {check.Float("weight_decay", 0)}; }
inline Momentum ReadMomentum(LaunchCheck& check) {
  return {check.Float("momentum"), check.Float("weight_decay", 0), check.Flag("nesterov")};
}
inline Adam ReadAdam(LaunchCheck& check) {
  return {check.Float("beta1"), check.Float("beta2"), check.Float("epsilon"),
          check.Float("weight_decay", 0), check.Flag("decoupled")};
}

}  // namespace wsi::cuda
