// Strides of row-major tensors, in elements.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "runtime/base/shape.h"

namespace wsi {

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

}  // namespace wsi
