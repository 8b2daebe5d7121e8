// Runs of elements that loops on R, fp32 or fp64, read and write: in place where they are
// stored as R, else through buffers of kBlock elements, which stay in the cache.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "runtime/backends/cpu/conversion.h"

namespace wsi::cpu {

inline constexpr int64_t kBlock = 1024;

// function(first, count) over [0, n): at once, or block by block where a type of two
// bytes is converted.
template <typename F>
void ForBlocks(DType stored, int64_t n, const F& function) {
  const int64_t step = IsHalf(stored) ? kBlock : std::max<int64_t>(n, 1);
  for (int64_t at = 0; at < n; at += step) function(at, std::min(step, n - at));
}

// Elements from `first` on, with stride 1, or 0 for one number.
template <typename R>
class WidenedRun {
 public:
  WidenedRun(DType stored, const std::byte* data, int64_t first, int64_t stride)
      : stored_(stored), data_(data + first * DTypeBytes(stored)), stride_(stride) {}

  int64_t stride() const { return stride_; }
  // Elements [at, at + n); `buffer` holds kBlock.
  const R* Read(int64_t at, int64_t n, R* buffer) const {
    const std::byte* from = data_ + at * stride_ * DTypeBytes(stored_);
    if constexpr (std::is_same_v<R, float>) {
      if (IsHalf(stored_)) {
        Widen(stored_, from, stride_ == 0 ? 1 : n, buffer);
        return buffer;
      }
    }
    return reinterpret_cast<const R*>(from);
  }

 private:
  DType stored_;
  const std::byte* data_;
  int64_t stride_;
};

template <typename R>
class NarrowedRun {
 public:
  NarrowedRun(DType stored, std::byte* data, int64_t first)
      : stored_(stored), data_(data + first * DTypeBytes(stored)) {}

  // Where a loop leaves its results of [at, ...).
  R* At(int64_t at, R* buffer) const {
    return IsHalf(stored_) ? buffer : reinterpret_cast<R*>(data_) + at;
  }
  void Write(int64_t at, int64_t n, const R* results) const {
    if constexpr (std::is_same_v<R, float>) {
      if (IsHalf(stored_)) Narrow(results, n, stored_, data_ + at * DTypeBytes(stored_));
    }
  }

 private:
  DType stored_;
  std::byte* data_;
};

}  // namespace wsi::cpu
