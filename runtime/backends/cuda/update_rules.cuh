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
