// The static sizes of a tensor, outermost first.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <vector>

#include "runtime/base/checked.h"
#include "runtime/base/dtype.h"
#include "runtime/base/status.h"

namespace wsi {

// Invariants of a shape made by Shape::Make: rank <= kMaxRank, every size >= 0,
// and the element count times eight fits int64_t.
class Shape {
 public:
  static constexpr int kMaxRank = 16;

  Shape() = default;  // A scalar: rank 0, one element.
  // REQUIRES: the invariants. For sizes known to the program.
  Shape(std::initializer_list<int64_t> sizes);
  // For sizes that come from a file or a user.
  static Result<Shape> Make(std::span<const int64_t> sizes);

  int rank() const { return static_cast<int>(sizes_.size()); }
  // The size of `axis`; a negative axis counts from the back.
  // REQUIRES: -rank() <= axis < rank().
  int64_t operator[](int axis) const;
  std::span<const int64_t> sizes() const { return sizes_; }
  int64_t ElementCount() const;
  Bytes ByteCount(DType dtype) const { return ElementCount() * DTypeBytes(dtype); }
  // "[1,3,224,224]".
  std::string ToString() const;

  auto begin() const { return sizes_.begin(); }
  auto end() const { return sizes_.end(); }
  bool operator==(const Shape&) const = default;

 private:
  std::vector<int64_t> sizes_;
};

// The shape that numpy broadcasting gives `a` and `b` (ONNX "Broadcasting").
Result<Shape> BroadcastShapes(const Shape& a, const Shape& b);

// `axis` in [0, rank), counted from the back where negative, or an error.
Result<int> NormalizeAxis(int64_t axis, int rank);

// sizes[permutation[0]], sizes[permutation[1]], ...
// REQUIRES: `permutation` is one of [0, shape.rank()).
Shape PermuteShape(const Shape& shape, std::span<const int64_t> permutation);

}  // namespace wsi
