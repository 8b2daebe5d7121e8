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

  // Elements of the whole for each element of the band, as a quotient.
  double Share() const;
  // Where element `i` of the band, in row-major order, is in the whole.
  int64_t WholeIndex(int64_t i) const {
    return i / band_run_ * whole_run_ + offset_ + i % band_run_;
  }
  // Elements of the band that follow each other in the whole as well.
  int64_t run() const { return band_run_; }

 private:
  int64_t band_run_ = 1;   // Elements of the band under one index of the axes before `axis`.
  int64_t whole_run_ = 1;  // Those of the whole.
  int64_t offset_ = 0;     // Of the first row, among them.
};

}  // namespace wsi
