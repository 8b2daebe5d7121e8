// What batch normalization and its gradients share: their checks and the forward formula.
#pragma once

#include "runtime/backends/cuda/columns.cuh"

namespace wsi::cuda {

struct Batch {
  ColumnShape shape;
  double epsilon = 0;
  bool relu = false;
};

inline Batch ReadBatch(LaunchCheck& check, bool with_epsilon) {
  const Shape& x = check.input(0);
  check.ChannelsLast(x, 2);
  check.Require(x.rank() < 2 || x.ElementCount() > 0, "wants a tensor that is not empty");
  if (!check.status().ok()) return {};
  Batch batch;
  batch.shape = {.rows = x.ElementCount() / x[-1], .columns = x[-1]};
  if (with_epsilon) batch.epsilon = check.Float("epsilon");
  batch.relu = check.Flag("relu");
  return batch;
}

// Inputs `first` to `last` and outputs 0 to below `outputs` have an f32 a channel.
inline void Vectors(LaunchCheck& check, size_t first, size_t last, size_t outputs,
                    const Batch& batch) {
  check.PerChannel(first, last, batch.shape.columns);
  for (size_t i = 0; i < outputs; ++i) check.OutputIs(i, Shape{batch.shape.columns});
}

// Inputs and outputs of these numbers are like input 0.
inline void Images(LaunchCheck& check, std::initializer_list<size_t> inputs,
                   std::initializer_list<size_t> outputs) {
  for (const size_t i : inputs) {
    check.InputIs(i, check.input(0));
    check.InputIs(i, check.input_type(0));
  }
  for (const size_t i : outputs) {
    check.OutputIs(i, check.input(0));
    check.OutputIs(i, check.input_type(0));
  }
}

__device__ inline double InverseDeviation(float var, double epsilon) {
  return 1.0 / sqrt(static_cast<double>(var) + epsilon);
}

// The forward pass and the masks of its gradients share these, so that they agree in every bit.
__device__ inline float Factor(float scale, float var, double epsilon) {
  return static_cast<float>(static_cast<double>(scale) * InverseDeviation(var, epsilon));
}
__device__ inline float Normalized(float x, float mean, float factor, float bias) {
  return fmaf(x - mean, factor, bias);
}
// Half of the smallest positive T: what Store rounds to 0.
template <typename T>
constexpr float kRoundsToZero = std::is_same_v<T, float>    ? 0.0F
                                : std::is_same_v<T, __half> ? 0x1p-25F
                                                            : 0x1p-134F;
// Whether max(v, 0), stored as T, is positive.
template <typename T>
__device__ inline bool Passes(float v) {
  return v > kRoundsToZero<T>;
}

}  // namespace wsi::cuda
