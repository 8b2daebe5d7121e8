#include "runtime/backends/cpu/loops/normalization_loops.h"

namespace wsi::cpu::WSI_ISA {
namespace {

// Rows of a block: about 32 KiB of floats, and never so few that merging a block
// costs more than summing it.
int64_t BlockRows(int64_t period) {
  const int64_t rows = 8192 / period;
  return rows < 8 ? 8 : rows;
}

void Zero(float* p, int64_t n) {
  for (int64_t j = 0; j < n; ++j) p[j] = 0.0F;
}

// sum[j] += x[r][j] over the rows, four at a time so that the sums are touched less.
template <typename T>
void SumRows(const T* __restrict x, int64_t rows, int64_t period, float* __restrict sum) {
  int64_t r = 0;
  for (; r + 4 <= rows; r += 4) {
    const T* __restrict a = x + r * period;
    const T* __restrict b = a + period;
    const T* __restrict c = b + period;
    const T* __restrict d = c + period;
    for (int64_t j = 0; j < period; ++j) {
      sum[j] += (Load(a[j]) + Load(b[j])) + (Load(c[j]) + Load(d[j]));
    }
  }
  for (; r < rows; ++r) {
    const T* __restrict a = x + r * period;
    for (int64_t j = 0; j < period; ++j) sum[j] += Load(a[j]);
  }
}

template <typename T>
void SumSquaredDeviations(const T* __restrict x, int64_t rows, int64_t period,
                          const float* __restrict mean, float* __restrict sum) {
  int64_t r = 0;
  for (; r + 4 <= rows; r += 4) {
    const T* __restrict a = x + r * period;
    const T* __restrict b = a + period;
    const T* __restrict c = b + period;
    const T* __restrict d = c + period;
    for (int64_t j = 0; j < period; ++j) {
      const float m = mean[j];
      const float p = Load(a[j]) - m;
      const float q = Load(b[j]) - m;
      const float s = Load(c[j]) - m;
      const float t = Load(d[j]) - m;
      sum[j] += (p * p + q * q) + (s * s + t * t);
    }
  }
  for (; r < rows; ++r) {
    const T* __restrict a = x + r * period;
    for (int64_t j = 0; j < period; ++j) {
      const float p = Load(a[j]) - mean[j];
      sum[j] += p * p;
    }
  }
}

template <typename T>
void Moments(const T* x, int64_t rows, int64_t period, double* __restrict mean,
             double* __restrict m2, float* block) {
  float* __restrict block_mean = block;
  float* __restrict block_m2 = block + period;
  for (int64_t j = 0; j < period; ++j) mean[j] = 0.0;
  for (int64_t j = 0; j < period; ++j) m2[j] = 0.0;
  const int64_t step = BlockRows(period);
  for (int64_t begin = 0; begin < rows; begin += step) {
    const int64_t n = rows - begin < step ? rows - begin : step;
    const T* p = x + begin * period;
    Zero(block_mean, period);
    SumRows(p, n, period, block_mean);
    const float inverse = 1.0F / static_cast<float>(n);
    for (int64_t j = 0; j < period; ++j) block_mean[j] *= inverse;
    Zero(block_m2, period);
    SumSquaredDeviations(p, n, period, block_mean, block_m2);
    const double total = static_cast<double>(begin + n);
    const double weight = static_cast<double>(n) / total;
    const double cross = static_cast<double>(begin) * weight;
    for (int64_t j = 0; j < period; ++j) {
      const double delta = static_cast<double>(block_mean[j]) - mean[j];
      mean[j] += delta * weight;
      m2[j] += static_cast<double>(block_m2[j]) + delta * delta * cross;
    }
  }
}

// The forward pass and the masks of its gradients share these, so that they agree in every bit.
float Normalized(float x, float mean, float factor, float bias) {
  return (x - mean) * factor + bias;
}
// Half of the smallest positive T: what Store rounds to 0.
template <typename T>
constexpr float kRoundsToZero = sizeof(T) == sizeof(float) ? 0.0F
                                : __is_same(T, Half)       ? 0x1p-25F
                                                           : 0x1p-134F;
// Whether max(v, 0), stored as T, is positive.
template <typename T>
bool Passes(float v) {
  return v > kRoundsToZero<T>;
}

template <bool kResidual, bool kRelu, typename T>
void ApplyRows(const T* x, const T* residual, const float* __restrict mean,
               const float* __restrict factor, const float* __restrict bias, int64_t count,
               int64_t period, T* y) {
  for (int64_t begin = 0; begin < count; begin += period) {
    const int64_t n = count - begin < period ? count - begin : period;
    const T* p = x + begin;
    const T* r = kResidual ? residual + begin : nullptr;
    T* q = y + begin;
    WSI_INDEPENDENT
    for (int64_t j = 0; j < n; ++j) {
      float v = Normalized(Load(p[j]), mean[j], factor[j], bias[j]);
      if constexpr (kResidual) v += Load(r[j]);
      if constexpr (kRelu) v = v < 0.0F ? 0.0F : v;
      Store(v, q[j]);
    }
  }
}

template <typename T>
void Apply(const T* x, const T* residual, const float* mean, const float* factor, const float* bias,
           int64_t count, int64_t period, bool relu, T* y) {
  if (residual != nullptr) {
    if (relu) {
      ApplyRows<true, true>(x, residual, mean, factor, bias, count, period, y);
    } else {
      ApplyRows<true, false>(x, residual, mean, factor, bias, count, period, y);
    }
  } else if (relu) {
    ApplyRows<false, true>(x, residual, mean, factor, bias, count, period, y);
  } else {
    ApplyRows<false, false>(x, residual, mean, factor, bias, count, period, y);
  }
}

enum class Mask { kNone, kFromY, kFromX };

// f.operator()<Mask>() for where the mask comes from.
template <typename F>
void WithMask(bool from_y, bool from_x, const F& f) {
  if (from_y) {
    f.template operator()<Mask::kFromY>();
  } else if (from_x) {
    f.template operator()<Mask::kFromX>();
  } else {
    f.template operator()<Mask::kNone>();
  }
}

// `kRows` rows from element `at` on at once, so that the sums are touched less often.
template <Mask kMask, bool kAddend, bool kStore, int64_t kRows, typename T>
void GradSumGroup(const GradSumOperands<T>& operands, int64_t at, int64_t period,
                  float* __restrict sum, float* __restrict dot) {
  const T* dy = operands.dy + at;
  const T* x = operands.x + at;
  const T* addend = kAddend ? operands.addend + at : nullptr;
  const T* y = kMask == Mask::kFromY ? operands.y + at : nullptr;
  T* dz = kStore ? operands.dz + at : nullptr;
  const float* __restrict mean = operands.mean;
  const float* __restrict factor = operands.factor;
  const float* __restrict bias = operands.bias;
  WSI_INDEPENDENT
  for (int64_t j = 0; j < period; ++j) {
    float s = 0.0F;
    float t = 0.0F;
    for (int64_t r = 0; r < kRows; ++r) {
      const int64_t i = r * period + j;
      const float u = Load(x[i]);
      float v = Load(dy[i]);
      if constexpr (kAddend) v += Load(addend[i]);
      if constexpr (kMask == Mask::kFromY) v = Load(y[i]) > 0.0F ? v : 0.0F;
      if constexpr (kMask == Mask::kFromX) {
        v = Passes<T>(Normalized(u, mean[j], factor[j], bias[j])) ? v : 0.0F;
      }
      if constexpr (kStore) Store(v, dz[i]);
      s += v;
      t += v * (u - mean[j]);
    }
    sum[j] += s;
    dot[j] += t;
  }
}

template <Mask kMask, bool kAddend, bool kStore, typename T>
void GradSumRows(const GradSumOperands<T>& operands, int64_t at, int64_t rows, int64_t period,
                 float* sum, float* dot) {
  constexpr int64_t kGroup = kAddend ? 2 : 4;  // Of more operands gcc makes no vector code.
  int64_t r = 0;
  for (; r + kGroup <= rows; r += kGroup) {
    GradSumGroup<kMask, kAddend, kStore, kGroup>(operands, at + r * period, period, sum, dot);
  }
  for (; r < rows; ++r) {
    GradSumGroup<kMask, kAddend, kStore, 1>(operands, at + r * period, period, sum, dot);
  }
}

template <Mask kMask, bool kAddend, bool kStore, typename T>
void GradSumBlocks(const GradSumOperands<T>& operands, int64_t rows, int64_t period,
                   double* __restrict sum, double* __restrict dot, float* block) {
  float* __restrict block_sum = block;
  float* __restrict block_dot = block + period;
  for (int64_t j = 0; j < period; ++j) sum[j] = 0.0;
  for (int64_t j = 0; j < period; ++j) dot[j] = 0.0;
  const int64_t step = BlockRows(period);
  for (int64_t begin = 0; begin < rows; begin += step) {
    const int64_t n = rows - begin < step ? rows - begin : step;
    Zero(block, 2 * period);
    GradSumRows<kMask, kAddend, kStore>(operands, begin * period, n, period, block_sum, block_dot);
    for (int64_t j = 0; j < period; ++j) sum[j] += static_cast<double>(block_sum[j]);
    for (int64_t j = 0; j < period; ++j) dot[j] += static_cast<double>(block_dot[j]);
  }
}

template <typename T>
void GradSums(const GradSumOperands<T>& operands, int64_t rows, int64_t period, double* sum,
              double* dot, float* block) {
  const bool store = operands.dz != nullptr;
  WithMask(operands.y != nullptr, operands.factor != nullptr, [&]<Mask kMask>() {
    if (operands.addend != nullptr && store) {
      GradSumBlocks<kMask, true, true>(operands, rows, period, sum, dot, block);
    } else if (operands.addend != nullptr) {
      GradSumBlocks<kMask, true, false>(operands, rows, period, sum, dot, block);
    } else if (store) {
      GradSumBlocks<kMask, false, true>(operands, rows, period, sum, dot, block);
    } else {
      GradSumBlocks<kMask, false, false>(operands, rows, period, sum, dot, block);
    }
  });
}

template <Mask kMask, typename T>
void GradApplyRows(const GradApplyOperands<T>& operands, int64_t count, int64_t period) {
  const float* __restrict mean = operands.mean;
  const float* __restrict factor = operands.factor;
  const float* __restrict shift = operands.shift;
  const float* __restrict slope = operands.slope;
  const float* __restrict bias = operands.bias;
  for (int64_t begin = 0; begin < count; begin += period) {
    const int64_t n = count - begin < period ? count - begin : period;
    const T* g = operands.dy + begin;
    const T* p = operands.x + begin;
    const T* o = kMask == Mask::kFromY ? operands.y + begin : nullptr;
    T* q = operands.dx + begin;
    WSI_INDEPENDENT
    for (int64_t j = 0; j < n; ++j) {
      const float u = Load(p[j]);
      float v = Load(g[j]);
      if constexpr (kMask == Mask::kFromY) v = Load(o[j]) > 0.0F ? v : 0.0F;
      if constexpr (kMask == Mask::kFromX) {
        v = Passes<T>(Normalized(u, mean[j], factor[j], bias[j])) ? v : 0.0F;
      }
      Store(v * factor[j] - shift[j] - (u - mean[j]) * slope[j], q[j]);
    }
  }
}

template <typename T>
void GradApply(const GradApplyOperands<T>& operands, int64_t count, int64_t period) {
  WithMask(operands.y != nullptr, operands.bias != nullptr,
           [&]<Mask kMask>() { GradApplyRows<kMask>(operands, count, period); });
}

template <typename T>
void GradScale(const T* dy, const T* y, const float* __restrict factor, int64_t count,
               int64_t period, T* dx) {
  for (int64_t begin = 0; begin < count; begin += period) {
    const int64_t n = count - begin < period ? count - begin : period;
    const T* g = dy + begin;
    const T* o = y == nullptr ? g : y + begin;
    T* q = dx + begin;
    if (y == nullptr) {
      WSI_INDEPENDENT
      for (int64_t j = 0; j < n; ++j) Store(Load(g[j]) * factor[j], q[j]);
    } else {
      WSI_INDEPENDENT
      for (int64_t j = 0; j < n; ++j) {
        Store((Load(o[j]) > 0.0F ? Load(g[j]) : 0.0F) * factor[j], q[j]);
      }
    }
  }
}

template <typename T>
constexpr NormalizationLoopsOf<T> kLoops = {
    .moments = Moments<T>,
    .apply = Apply<T>,
    .grad_sums = GradSums<T>,
    .grad_apply = GradApply<T>,
    .grad_scale = GradScale<T>,
};

}  // namespace

extern const NormalizationLoops kNormalizationLoops = {kLoops<float>, kLoops<Half>,
                                                       kLoops<BFloat16>};

}  // namespace wsi::cpu::WSI_ISA
