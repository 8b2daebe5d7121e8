// Copies between strided tensors: what transposing, slicing, padding, expanding and
// concatenating come down to.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "runtime/backends/cpu/compile.h"

namespace wsi::cpu {

// to[sum i_d * to_stride_d] = from[sum i_d * from_stride_d] for all indices below the
// sizes; offsets and strides in elements, negative and zero ones allowed in `from`.
class StridedCopy {
 public:
  struct Axis {
    int64_t size = 1;
    int64_t from_stride = 0;
    int64_t to_stride = 0;
  };
  StridedCopy(std::span<const Axis> axes, int64_t from_offset, int64_t to_offset,
              Bytes element_bytes);
  void Run(ThreadPool& pool, const std::byte* from, std::byte* to) const;

 private:
  void CopyRows(int64_t begin, int64_t end, const std::byte* from, std::byte* to) const;

  std::vector<Axis> outer_;
  Axis middle_;
  Axis inner_;
  bool tiled_ = false;  // Middle and inner axis are walked in square tiles (transposing).
  int64_t rows_ = 1;    // Product of the outer sizes and of the two tile counts.
  int64_t middle_tile_ = 1;
  int64_t middle_tiles_ = 1;
  int64_t inner_tile_ = 1;
  int64_t inner_tiles_ = 1;
  int64_t from_offset_;
  int64_t to_offset_;
  Bytes element_bytes_;
};

// Row-major strides in elements.
std::vector<int64_t> RowMajorStrides(const Shape& shape);

}  // namespace wsi::cpu
