// Inner loops of batch and group normalization over positions x channels.
//
// A tensor is rows of `period` elements, where a period is one or more positions:
// narrow channel counts are repeated so that the loops stay wide. Per-channel
// operands are repeated to `period` floats alike.
#pragma once

#include <cstdint>

#include "runtime/backends/cpu/isa.h"
#include "runtime/backends/cpu/storage.h"

namespace wsi::cpu {

// What the gradient of a normalization with a fused ReLU is made of. The ReLU's mask comes
// from its result y; or, where `factor` is given, from x by the forward pass's arithmetic
// and rounding; without either there is none. dz = dy + addend where the mask is, else 0.
template <typename T>
struct GradSumOperands {
  const T* dy = nullptr;
  const T* addend = nullptr;  // Null: 0.
  const T* x = nullptr;
  const T* y = nullptr;
  const float* mean = nullptr;  // Of a period, as the next two.
  const float* factor = nullptr;
  const float* bias = nullptr;
  T* dz = nullptr;  // Null: not stored.
};
template <typename T>
struct GradApplyOperands {
  const T* dy = nullptr;
  const T* x = nullptr;
  const T* y = nullptr;
  const float* mean = nullptr;
  const float* factor = nullptr;
  const float* shift = nullptr;
  const float* slope = nullptr;
  const float* bias = nullptr;  // Not null: the mask comes from x.
  T* dx = nullptr;
};

template <typename T>
struct NormalizationLoopsOf {
  // mean[j] and m2[j] (sum of squared deviations) of `rows` rows; `mean`, `m2` are
  // overwritten. Two passes in blocks that stay in the cache, merged by the update of
  // Chan, Golub and LeVeque (1979). `block` is scratch of 2 * period floats.
  void (*moments)(const T* x, int64_t rows, int64_t period, double* mean, double* m2, float* block);
  // y = act((x - mean) * factor + bias [+ residual]) over `count` elements, a multiple of
  // period or less than it; act is max(., 0) if relu. residual may be null.
  void (*apply)(const T* x, const T* residual, const float* mean, const float* factor,
                const float* bias, int64_t count, int64_t period, bool relu, T* y);
  // sum[j] = sum of dz, dot[j] = sum of dz * (x - mean); `block` is 2 * period floats.
  void (*grad_sums)(const GradSumOperands<T>& operands, int64_t rows, int64_t period, double* sum,
                    double* dot, float* block);
  // dx = dz * factor - shift - (x - mean) * slope, over `count` elements as in apply.
  void (*grad_apply)(const GradApplyOperands<T>& operands, int64_t count, int64_t period);
  // dx = dz * factor.
  void (*grad_scale)(const T* dy, const T* y, const float* factor, int64_t count, int64_t period,
                     T* dx);
};

using NormalizationLoops = ByStorage<NormalizationLoopsOf>;
WSI_DECLARE_LOOPS(NormalizationLoops, kNormalizationLoops);

}  // namespace wsi::cpu
