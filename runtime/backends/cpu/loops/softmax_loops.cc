#include "runtime/backends/cpu/loops/softmax_loops.h"

#include "runtime/backends/cpu/loops/vector_math.h"

namespace wsi::cpu::WSI_ISA {
namespace {

constexpr int64_t kLanes = 32;
constexpr int64_t kBlock = 64;  // fp32 additions in a row at most.

// The sum of term(i) over i < n.
template <typename F>
double SumOf(int64_t n, F term) {
  double total = 0.0;
  int64_t i = 0;
  while (n - i >= kLanes) {
    float lanes[kLanes] = {};
    const int64_t steps = (n - i) / kLanes < kBlock ? (n - i) / kLanes : kBlock;
    for (int64_t s = 0; s < steps; ++s, i += kLanes) {
      for (int64_t l = 0; l < kLanes; ++l) lanes[l] += term(i + l);
    }
    for (int64_t l = 0; l < kLanes; ++l) total += static_cast<double>(lanes[l]);
  }
  for (; i < n; ++i) total += static_cast<double>(term(i));
  return total;
}

inline float Larger(float a, float b) { return a > b ? a : b; }

template <typename T>
float HighestOf(const T* x, int64_t n) {
  float lanes[kLanes];
  for (int64_t l = 0; l < kLanes; ++l) lanes[l] = -__builtin_inff();
  int64_t i = 0;
  for (; n - i >= kLanes; i += kLanes) {
    for (int64_t l = 0; l < kLanes; ++l) lanes[l] = Larger(Load(x[i + l]), lanes[l]);
  }
  float highest = -__builtin_inff();
  for (int64_t l = 0; l < kLanes; ++l) highest = Larger(lanes[l], highest);
  for (; i < n; ++i) highest = Larger(Load(x[i]), highest);
  return highest;
}

template <typename T>
void Line(const T* x, int64_t n, bool logarithm, T* y) {
  const float highest = HighestOf(x, n);
  const double total = SumOf(n, [=](int64_t i) { return ExpOf(Load(x[i]) - highest); });
  if (logarithm) {
    const auto shift = static_cast<float>(__builtin_log(total));
    WSI_INDEPENDENT
    for (int64_t i = 0; i < n; ++i) Store((Load(x[i]) - highest) - shift, y[i]);
    return;
  }
  const auto factor = static_cast<float>(1.0 / total);
  WSI_INDEPENDENT
  for (int64_t i = 0; i < n; ++i) Store(ExpOf(Load(x[i]) - highest) * factor, y[i]);
}

template <typename T>
void Columns(const T* x, int64_t n, int64_t stride, int64_t width, bool logarithm, T* y) {
  float highest[kSoftmaxColumns];
  double total[kSoftmaxColumns];
  for (int64_t j = 0; j < width; ++j) highest[j] = -__builtin_inff();
  for (int64_t i = 0; i < n; ++i) {
    const T* row = x + i * stride;
    for (int64_t j = 0; j < width; ++j) highest[j] = Larger(Load(row[j]), highest[j]);
  }
  for (int64_t j = 0; j < width; ++j) total[j] = 0.0;
  for (int64_t i = 0; i < n; ++i) {
    const T* row = x + i * stride;
    for (int64_t j = 0; j < width; ++j) {
      total[j] += static_cast<double>(ExpOf(Load(row[j]) - highest[j]));
    }
  }
  float number[kSoftmaxColumns];
  for (int64_t j = 0; j < width; ++j) {
    number[j] = static_cast<float>(logarithm ? __builtin_log(total[j]) : 1.0 / total[j]);
  }
  for (int64_t i = 0; i < n; ++i) {
    const T* from = x + i * stride;
    T* to = y + i * stride;
    if (logarithm) {
      WSI_INDEPENDENT
      for (int64_t j = 0; j < width; ++j) Store((Load(from[j]) - highest[j]) - number[j], to[j]);
    } else {
      WSI_INDEPENDENT
      for (int64_t j = 0; j < width; ++j) {
        Store(ExpOf(Load(from[j]) - highest[j]) * number[j], to[j]);
      }
    }
  }
}

template <typename T>
void GradLine(const T* dy, const T* y, int64_t n, bool logarithm, T* dx) {
  if (logarithm) {
    const auto sum = static_cast<float>(SumOf(n, [=](int64_t i) { return Load(dy[i]); }));
    WSI_INDEPENDENT
    for (int64_t i = 0; i < n; ++i) Store(Load(dy[i]) - ExpOf(Load(y[i])) * sum, dx[i]);
    return;
  }
  const auto sum =
      static_cast<float>(SumOf(n, [=](int64_t i) { return Load(dy[i]) * Load(y[i]); }));
  WSI_INDEPENDENT
  for (int64_t i = 0; i < n; ++i) Store(Load(y[i]) * (Load(dy[i]) - sum), dx[i]);
}

template <typename T>
void GradColumns(const T* dy, const T* y, int64_t n, int64_t stride, int64_t width, bool logarithm,
                 T* dx) {
  double total[kSoftmaxColumns];
  for (int64_t j = 0; j < width; ++j) total[j] = 0.0;
  for (int64_t i = 0; i < n; ++i) {
    const T* g = dy + i * stride;
    const T* v = y + i * stride;
    for (int64_t j = 0; j < width; ++j) {
      total[j] +=
          static_cast<double>(Load(g[j])) * (logarithm ? 1.0 : static_cast<double>(Load(v[j])));
    }
  }
  float sum[kSoftmaxColumns];
  for (int64_t j = 0; j < width; ++j) sum[j] = static_cast<float>(total[j]);
  for (int64_t i = 0; i < n; ++i) {
    const T* g = dy + i * stride;
    const T* v = y + i * stride;
    T* to = dx + i * stride;
    if (logarithm) {
      WSI_INDEPENDENT
      for (int64_t j = 0; j < width; ++j) Store(Load(g[j]) - ExpOf(Load(v[j])) * sum[j], to[j]);
    } else {
      WSI_INDEPENDENT
      for (int64_t j = 0; j < width; ++j) Store(Load(v[j]) * (Load(g[j]) - sum[j]), to[j]);
    }
  }
}

template <typename T>
constexpr SoftmaxLoopsOf<T> kLoops = {
    .line = Line<T>,
    .columns = Columns<T>,
    .grad_line = GradLine<T>,
    .grad_columns = GradColumns<T>,
};

}  // namespace

extern const SoftmaxLoops kSoftmaxLoops = {kLoops<float>, kLoops<Half>, kLoops<BFloat16>};

}  // namespace wsi::cpu::WSI_ISA
