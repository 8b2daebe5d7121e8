// Row-major walks over a box of indices that move N positions at once, each by strides
// of its own: broadcasting, slicing, transposing and reducing are all such walks.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "runtime/base/shape.h"

namespace wsi::reference {

using AxisArray = std::array<int64_t, Shape::kMaxRank>;

inline AxisArray Sizes(const Shape& shape) {
  AxisArray sizes{};
  for (int i = 0; i < shape.rank(); ++i) sizes[static_cast<size_t>(i)] = shape[i];
  return sizes;
}

// Elements between neighbours along each axis of a row-major tensor.
inline AxisArray RowMajor(const Shape& shape) {
  AxisArray strides{};
  int64_t stride = 1;
  for (int i = shape.rank() - 1; i >= 0; --i) {
    strides[static_cast<size_t>(i)] = stride;
    stride *= shape[i];
  }
  return strides;
}

// The strides with which `operand` is read along the axes of `result`, to which it
// broadcasts: 0 along the stretched ones.
inline AxisArray Broadcast(const Shape& operand, const Shape& result) {
  AxisArray strides{};
  int64_t stride = 1;
  for (int i = 1; i <= operand.rank(); ++i) {
    if (operand[-i] == result[-i]) strides[static_cast<size_t>(result.rank() - i)] = stride;
    stride *= operand[-i];
  }
  return strides;
}

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
