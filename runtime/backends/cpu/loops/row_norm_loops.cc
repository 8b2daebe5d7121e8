#include "runtime/backends/cpu/loops/row_norm_loops.h"

namespace wsi::cpu::WSI_ISA {
namespace {

constexpr int64_t kLanes = 32;
constexpr int64_t kBlock = 64;  // fp32 additions in a row at most.

// The sum of f(i) for i below n: lanes in fp32, their totals in fp64.
template <typename F>
double Sum(int64_t n, F f) {
  double total = 0.0;
  int64_t i = 0;
  while (n - i >= kLanes) {
    float lanes[kLanes] = {};
    const int64_t steps = (n - i) / kLanes < kBlock ? (n - i) / kLanes : kBlock;
    for (int64_t s = 0; s < steps; ++s, i += kLanes) {
      for (int64_t l = 0; l < kLanes; ++l) lanes[l] += f(i + l);
    }
    for (int64_t l = 0; l < kLanes; ++l) total += static_cast<double>(lanes[l]);
  }
  for (; i < n; ++i) total += static_cast<double>(f(i));
  return total;
}

double SumOfRow(const float* x, int64_t n) {
  return Sum(n, [x](int64_t i) { return x[i]; });
}

double Squares(const float* x, int64_t n, float center) {
  return Sum(n, [x, center](int64_t i) { return (x[i] - center) * (x[i] - center); });
}

void Apply(const float* __restrict x, int64_t n, float mean, float inverse,
           const float* __restrict scale, const float* __restrict bias, float* __restrict y) {
  if (bias == nullptr) {
    for (int64_t i = 0; i < n; ++i) y[i] = (x[i] - mean) * inverse * scale[i];
  } else {
    for (int64_t i = 0; i < n; ++i) y[i] = (x[i] - mean) * inverse * scale[i] + bias[i];
  }
}

void GradSums(const float* __restrict dy, const float* __restrict x, int64_t n, float mean,
              float inverse, const float* __restrict scale, float* __restrict dscale,
              float* __restrict dbias, double* sum, double* dot) {
  const auto xhat = [=](int64_t i) { return (x[i] - mean) * inverse; };
  *sum = Sum(n, [=](int64_t i) { return dy[i] * scale[i]; });
  *dot = Sum(n, [=](int64_t i) { return dy[i] * scale[i] * xhat(i); });
  for (int64_t i = 0; i < n; ++i) dscale[i] += dy[i] * xhat(i);
  if (dbias == nullptr) return;
  for (int64_t i = 0; i < n; ++i) dbias[i] += dy[i];
}

void GradApply(const float* __restrict dy, const float* __restrict x, int64_t n, float mean,
               float inverse, const float* __restrict scale, float shift, float slope,
               float* __restrict dx) {
  for (int64_t i = 0; i < n; ++i) {
    dx[i] = inverse * (dy[i] * scale[i] - shift - (x[i] - mean) * inverse * slope);
  }
}

}  // namespace

extern const RowNormLoops kRowNormLoops = {
    .sum = SumOfRow,
    .squares = Squares,
    .apply = Apply,
    .grad_sums = GradSums,
    .grad_apply = GradApply,
};

}  // namespace wsi::cpu::WSI_ISA
