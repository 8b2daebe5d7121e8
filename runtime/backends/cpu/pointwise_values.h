// Values of a block in a pointwise program, and how they are loaded and stored.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "runtime/backends/cpu/conversion.h"
#include "runtime/backends/cpu/loops/sum_loops.h"
#include "runtime/backends/cpu/pointwise_blocks.h"

namespace wsi::cpu {

// y[i] = x[i] as R, i < n <= kBlockElements.
template <typename R>
void LoadRun(DType stored, const std::byte* x, int64_t n, R* y) {
  if (stored == StorageType<R>()) {
    std::memcpy(y, x, static_cast<size_t>(n) * sizeof(R));
  } else if (stored == DType::kBool) {
    const auto* truth = reinterpret_cast<const uint8_t*>(x);
    for (int64_t i = 0; i < n; ++i) y[i] = truth[i] != 0 ? R{1} : R{0};
  } else if constexpr (std::is_same_v<R, float>) {
    Widen(stored, x, n, y);
  } else {
    float single[kBlockElements];
    LoadRun(stored, x, n, single);
    std::copy_n(single, n, y);
  }
}

template <typename R>
void StoreRun(const R* x, int64_t n, DType stored, std::byte* y) {
  if (stored == StorageType<R>()) {
    std::memcpy(y, x, static_cast<size_t>(n) * sizeof(R));
  } else if (stored == DType::kBool) {
    auto* truth = reinterpret_cast<uint8_t*>(y);
    for (int64_t i = 0; i < n; ++i) truth[i] = x[i] != R{0} ? 1 : 0;
  } else if constexpr (std::is_same_v<R, float>) {
    Narrow(x, n, stored, y);
  } else {
    float single[kBlockElements];
    for (int64_t i = 0; i < n; ++i) single[i] = static_cast<float>(x[i]);
    StoreRun(single, n, stored, y);
  }
}

// A run of numbers with stride 1, or one number with stride 0.
template <typename R>
struct Values {
  const R* data = nullptr;
  int64_t stride = 1;
};

template <typename R>
double SumOf(const Values<R>& x, int64_t n) {
  if (x.stride == 0) return static_cast<double>(*x.data) * static_cast<double>(n);
  if constexpr (std::is_same_v<R, float>) {
    return GetSumLoops().f32.sum(x.data, n);
  } else {
    double total = 0;
    for (int64_t i = 0; i < n; ++i) total += x.data[i];
    return total;
  }
}

}  // namespace wsi::cpu
