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
void SumRows(const float* __restrict x, int64_t rows, int64_t period, float* __restrict sum) {
  int64_t r = 0;
  for (; r + 4 <= rows; r += 4) {
    const float* __restrict a = x + r * period;
    const float* __restrict b = a + period;
    const float* __restrict c = b + period;
    const float* __restrict d = c + period;
    for (int64_t j = 0; j < period; ++j) sum[j] += (a[j] + b[j]) + (c[j] + d[j]);
  }
  for (; r < rows; ++r) {
    const float* __restrict a = x + r * period;
    for (int64_t j = 0; j < period; ++j) sum[j] += a[j];
  }
}

void SumSquaredDeviations(const float* __restrict x, int64_t rows, int64_t period,
                          const float* __restrict mean, float* __restrict sum) {
  int64_t r = 0;
  for (; r + 4 <= rows; r += 4) {
    const float* __restrict a = x + r * period;
    const float* __restrict b = a + period;
    const float* __restrict c = b + period;
    const float* __restrict d = c + period;
    for (int64_t j = 0; j < period; ++j) {
      const float m = mean[j];
      const float p = a[j] - m;
      const float q = b[j] - m;
      const float s = c[j] - m;
      const float t = d[j] - m;
      sum[j] += (p * p + q * q) + (s * s + t * t);
    }
  }
  for (; r < rows; ++r) {
    const float* __restrict a = x + r * period;
    for (int64_t j = 0; j < period; ++j) {
      const float p = a[j] - mean[j];
      sum[j] += p * p;
    }
  }
}

void Moments(const float* x, int64_t rows, int64_t period, double* __restrict mean,
             double* __restrict m2, float* block) {
  float* __restrict block_mean = block;
  float* __restrict block_m2 = block + period;
  for (int64_t j = 0; j < period; ++j) mean[j] = 0.0;
  for (int64_t j = 0; j < period; ++j) m2[j] = 0.0;
  const int64_t step = BlockRows(period);
  for (int64_t begin = 0; begin < rows; begin += step) {
    const int64_t n = rows - begin < step ? rows - begin : step;
    const float* p = x + begin * period;
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

template <bool kResidual, bool kRelu>
void ApplyRows(const float* x, const float* residual, const float* __restrict mean,
               const float* __restrict factor, const float* __restrict bias, int64_t count,
               int64_t period, float* y) {
  for (int64_t begin = 0; begin < count; begin += period) {
    const int64_t n = count - begin < period ? count - begin : period;
    const float* p = x + begin;
    const float* r = kResidual ? residual + begin : nullptr;
    float* q = y + begin;
    WSI_INDEPENDENT
    for (int64_t j = 0; j < n; ++j) {
      float v = (p[j] - mean[j]) * factor[j] + bias[j];
      if constexpr (kResidual) v += r[j];
      if constexpr (kRelu) v = v < 0.0F ? 0.0F : v;
      q[j] = v;
    }
  }
}

void Apply(const float* x, const float* residual, const float* mean, const float* factor,
           const float* bias, int64_t count, int64_t period, bool relu, float* y) {
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

// `kRows` rows at once, so that the sums are touched less often.
template <bool kMask, bool kStore, int64_t kRows>
void GradSumGroup(const float* dy, const float* x, const float* y, const float* __restrict mean,
                  int64_t period, float* __restrict sum, float* __restrict dot, float* dz) {
  WSI_INDEPENDENT
  for (int64_t j = 0; j < period; ++j) {
    float s = 0.0F;
    float t = 0.0F;
    for (int64_t r = 0; r < kRows; ++r) {
      float v = dy[r * period + j];
      if constexpr (kMask) v = y[r * period + j] > 0.0F ? v : 0.0F;
      if constexpr (kStore) dz[r * period + j] = v;
      s += v;
      t += v * (x[r * period + j] - mean[j]);
    }
    sum[j] += s;
    dot[j] += t;
  }
}

template <bool kMask, bool kStore>
void GradSumRows(const float* dy, const float* x, const float* y, const float* mean, int64_t rows,
                 int64_t period, float* sum, float* dot, float* dz) {
  constexpr int64_t kGroup = 4;
  int64_t r = 0;
  const auto at = [&](const float* p) { return p == nullptr ? p : p + r * period; };
  for (; r + kGroup <= rows; r += kGroup) {
    GradSumGroup<kMask, kStore, kGroup>(dy + r * period, x + r * period, at(y), mean, period, sum,
                                        dot, const_cast<float*>(at(dz)));
  }
  for (; r < rows; ++r) {
    GradSumGroup<kMask, kStore, 1>(dy + r * period, x + r * period, at(y), mean, period, sum, dot,
                                   const_cast<float*>(at(dz)));
  }
}

void GradSums(const float* dy, const float* x, const float* y, const float* mean, int64_t rows,
              int64_t period, double* __restrict sum, double* __restrict dot, float* dz,
              float* block) {
  float* __restrict block_sum = block;
  float* __restrict block_dot = block + period;
  for (int64_t j = 0; j < period; ++j) sum[j] = 0.0;
  for (int64_t j = 0; j < period; ++j) dot[j] = 0.0;
  const int64_t step = BlockRows(period);
  for (int64_t begin = 0; begin < rows; begin += step) {
    const int64_t n = rows - begin < step ? rows - begin : step;
    const int64_t at = begin * period;
    Zero(block, 2 * period);
    const float* o = y == nullptr ? nullptr : y + at;
    float* q = dz == nullptr ? nullptr : dz + at;
    if (y != nullptr && dz != nullptr) {
      GradSumRows<true, true>(dy + at, x + at, o, mean, n, period, block_sum, block_dot, q);
    } else if (y != nullptr) {
      GradSumRows<true, false>(dy + at, x + at, o, mean, n, period, block_sum, block_dot, q);
    } else if (dz != nullptr) {
      GradSumRows<false, true>(dy + at, x + at, o, mean, n, period, block_sum, block_dot, q);
    } else {
      GradSumRows<false, false>(dy + at, x + at, o, mean, n, period, block_sum, block_dot, q);
    }
    for (int64_t j = 0; j < period; ++j) sum[j] += static_cast<double>(block_sum[j]);
    for (int64_t j = 0; j < period; ++j) dot[j] += static_cast<double>(block_dot[j]);
  }
}

template <bool kMask>
void GradApplyRows(const float* dy, const float* x, const float* y, const float* __restrict mean,
                   const float* __restrict factor, const float* __restrict shift,
                   const float* __restrict slope, int64_t count, int64_t period, float* dx) {
  for (int64_t begin = 0; begin < count; begin += period) {
    const int64_t n = count - begin < period ? count - begin : period;
    const float* g = dy + begin;
    const float* p = x + begin;
    const float* o = kMask ? y + begin : nullptr;
    float* q = dx + begin;
    WSI_INDEPENDENT
    for (int64_t j = 0; j < n; ++j) {
      float v = g[j];
      if constexpr (kMask) v = o[j] > 0.0F ? v : 0.0F;
      q[j] = v * factor[j] - shift[j] - (p[j] - mean[j]) * slope[j];
    }
  }
}

void GradApply(const float* dy, const float* x, const float* y, const float* mean,
               const float* factor, const float* shift, const float* slope, int64_t count,
               int64_t period, float* dx) {
  if (y != nullptr) {
    GradApplyRows<true>(dy, x, y, mean, factor, shift, slope, count, period, dx);
  } else {
    GradApplyRows<false>(dy, x, y, mean, factor, shift, slope, count, period, dx);
  }
}

void GradScale(const float* dy, const float* y, const float* __restrict factor, int64_t count,
               int64_t period, float* dx) {
  for (int64_t begin = 0; begin < count; begin += period) {
    const int64_t n = count - begin < period ? count - begin : period;
    const float* g = dy + begin;
    const float* o = y == nullptr ? g : y + begin;
    float* q = dx + begin;
    if (y == nullptr) {
      WSI_INDEPENDENT
      for (int64_t j = 0; j < n; ++j) q[j] = g[j] * factor[j];
    } else {
      WSI_INDEPENDENT
      for (int64_t j = 0; j < n; ++j) q[j] = (o[j] > 0.0F ? g[j] : 0.0F) * factor[j];
    }
  }
}

}  // namespace

extern const NormalizationLoops kNormalizationLoops = {
    .moments = Moments,
    .apply = Apply,
    .grad_sums = GradSums,
    .grad_apply = GradApply,
    .grad_scale = GradScale,
};

}  // namespace wsi::cpu::WSI_ISA
