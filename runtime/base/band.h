// The attribute `band` = {axis, begin, size}: of a whole tensor of `size` rows along
// `axis`, the node works on those from `begin` on. Operators have it whose elements
// depend on the whole: on how many there are, or on where they are.
#pragma once

#include <cstdint>

#include "runtime/base/attributes.h"
#include "runtime/base/shape.h"
#include "runtime/base/status.h"

namespace wsi {

class BandOfWhole {
 public:
  // Of a tensor of shape `band`, all of it where there is no attribute.
  static Result<BandOfWhole> Read(const Attributes& attributes, const Shape& band);

  bool is_whole() const { return axis_ < 0; }
  // REQUIRES: !is_whole().
  int axis() const { return axis_; }
  int64_t begin() const { return begin_; }
  int64_t size() const { return size_; }  // Rows of the whole.

  // What `count` elements or positions of the band, its rows all alike, are in the whole.
  int64_t CountInWhole(int64_t count) const { return count / rows_ * size_; }
  // Where element `i` of the band, in row-major order, is in the whole.
  int64_t WholeIndex(int64_t i) const {
    return i / band_run_ * whole_run_ + offset_ + i % band_run_;
  }

 private:
  int axis_ = -1;
  int64_t begin_ = 0;
  int64_t rows_ = 1;       // Of the band.
  int64_t size_ = 1;       // Of the whole.
  int64_t band_run_ = 1;   // Elements of the band under one index of the axes before `axis`.
  int64_t whole_run_ = 1;  // Those of the whole.
  int64_t offset_ = 0;     // Of the first row, among them.
};

}  // namespace wsi
