// Row-major walks over a box of indices that move N positions at once, each by strides
// of its own: broadcasting, slicing, transposing and reducing are all such walks.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "runtime/backends/strides.h"

namespace wsi::reference {

template <size_t N>
struct Walk {
  int rank = 0;
  AxisArray sizes{};
  std::array<AxisArray, N> strides{};
  std::array<int64_t, N> start{};
};

// Calls f(positions) for each index, `positions` an array of N.
template <size_t N, typename F>
void ForEach(const Walk<N>& walk, F f) {
  const auto rank = static_cast<size_t>(walk.rank);
  for (size_t i = 0; i < rank; ++i) {
    if (walk.sizes[i] == 0) return;
  }
  AxisArray index{};
  std::array<int64_t, N> at = walk.start;
  for (;;) {
    f(at);
    size_t axis = rank;
    for (;;) {
      if (axis == 0) return;
      --axis;
      for (size_t n = 0; n < N; ++n) at[n] += walk.strides[n][axis];
      if (++index[axis] < walk.sizes[axis]) break;
      for (size_t n = 0; n < N; ++n) at[n] -= walk.strides[n][axis] * index[axis];
      index[axis] = 0;
    }
  }
}

}  // namespace wsi::reference
