#include "runtime/backends/cpu/loops/sum_loops.h"

namespace wsi::cpu::WSI_ISA {
namespace {

constexpr int64_t kLanes = 32;
constexpr int64_t kBlock = 64;  // fp32 additions in a row at most.

struct Value {
  static float Of(float x) { return x; }
};
struct Square {
  static float Of(float x) { return x * x; }
};

template <typename F, typename T>
double Sum(const T* x, int64_t n) {
  double total = 0.0;
  int64_t i = 0;
  while (n - i >= kLanes) {
    float lanes[kLanes] = {};
    const int64_t steps = (n - i) / kLanes < kBlock ? (n - i) / kLanes : kBlock;
    for (int64_t s = 0; s < steps; ++s, i += kLanes) {
      for (int64_t l = 0; l < kLanes; ++l) lanes[l] += F::Of(Load(x[i + l]));
    }
    for (int64_t l = 0; l < kLanes; ++l) total += static_cast<double>(lanes[l]);
  }
  for (; i < n; ++i) total += static_cast<double>(F::Of(Load(x[i])));
  return total;
}

template <typename T>
void Columns(const T* __restrict x, int64_t rows, int64_t stride, int64_t width,
             double* __restrict total, float* __restrict block) {
  for (int64_t begin = 0; begin < rows; begin += kBlock) {
    const int64_t end = begin + kBlock < rows ? begin + kBlock : rows;
    for (int64_t j = 0; j < width; ++j) block[j] = 0.0F;
    for (int64_t r = begin; r < end; ++r) {
      const T* __restrict row = x + r * stride;
      for (int64_t j = 0; j < width; ++j) block[j] += Load(row[j]);
    }
    for (int64_t j = 0; j < width; ++j) total[j] += static_cast<double>(block[j]);
  }
}

template <typename T>
constexpr SumLoopsOf<T> kLoops = {
    .sum = Sum<Value, T>,
    .squares = Sum<Square, T>,
    .columns = Columns<T>,
};

}  // namespace

extern const SumLoops kSumLoops = {kLoops<float>, kLoops<Half>, kLoops<BFloat16>};

}  // namespace wsi::cpu::WSI_ISA
