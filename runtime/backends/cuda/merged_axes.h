// Axes of a launch, merged where all tensors step through neighbours alike.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "runtime/backends/strides.h"

namespace wsi::cuda {

// At least one axis, the innermost last; strides[n]: of tensor n along each.
struct MergedAxes {
  std::vector<int64_t> sizes;
  std::vector<std::vector<int64_t>> strides;
  int64_t Count() const {
    int64_t count = 1;
    for (const int64_t size : sizes) count *= size;
    return count;
  }
};

// `strides`: along the axes of `shape`. Axes of size 1 are left out.
inline MergedAxes MergeAxes(const Shape& shape, std::span<const AxisArray> strides) {
  MergedAxes merged;
  merged.strides.resize(strides.size());
  for (int i = 0; i < shape.rank(); ++i) {
    const auto axis = static_cast<size_t>(i);
    if (shape[i] == 1) continue;
    bool joins = !merged.sizes.empty();
    for (size_t n = 0; joins && n < strides.size(); ++n) {
      joins = merged.strides[n].back() == strides[n][axis] * shape[i];
    }
    if (joins) {
      merged.sizes.back() *= shape[i];
    } else {
      merged.sizes.push_back(shape[i]);
    }
    for (size_t n = 0; n < strides.size(); ++n) {
      if (!joins) merged.strides[n].emplace_back();
      merged.strides[n].back() = strides[n][axis];
    }
  }
  if (merged.sizes.empty()) {
    merged.sizes.push_back(1);
    for (auto& of_tensor : merged.strides) of_tensor.push_back(0);
    if (!merged.strides.empty()) merged.strides.back().back() = 1;  // The result's.
  }
  return merged;
}

}  // namespace wsi::cuda
