#include "runtime/base/shape.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace wsi {

Shape::Shape(std::initializer_list<int64_t> sizes)
    : Shape(Make(std::span(sizes.begin(), sizes.size())).value()) {}

Result<Shape> Shape::Make(std::span<const int64_t> sizes) {
  if (sizes.size() > kMaxRank) {
    return InvalidInput(fmt::format("rank {} exceeds {}", sizes.size(), kMaxRank));
  }
  int64_t elements = 8;  // Bytes of the widest element.
  for (const int64_t size : sizes) {
    if (size < 0) return InvalidInput(fmt::format("negative size {}", size));
    WSI_ASSIGN_OR_RETURN(elements, CheckedMul(elements, std::max<int64_t>(size, 1)));
  }
  Shape shape;
  shape.sizes_.assign(sizes.begin(), sizes.end());
  return shape;
}

int64_t Shape::operator[](int axis) const {
  if (axis < 0) axis += rank();
  WSI_CHECK(axis >= 0 && axis < rank());
  return sizes_[static_cast<size_t>(axis)];
}

int64_t Shape::ElementCount() const {
  int64_t count = 1;
  for (const int64_t size : sizes_) count *= size;
  return count;
}

std::string Shape::ToString() const { return fmt::format("[{}]", fmt::join(sizes_, ",")); }

Result<Shape> BroadcastShapes(const Shape& a, const Shape& b) {
  const int rank = std::max(a.rank(), b.rank());
  std::vector<int64_t> sizes(static_cast<size_t>(rank));
  for (int i = 1; i <= rank; ++i) {
    const int64_t x = i <= a.rank() ? a[-i] : 1;
    const int64_t y = i <= b.rank() ? b[-i] : 1;
    if (x != y && x != 1 && y != 1) {
      return InvalidInput(
          fmt::format("shapes {} and {} do not broadcast", a.ToString(), b.ToString()));
    }
    sizes[static_cast<size_t>(rank - i)] = x == 1 ? y : x;
  }
  return Shape::Make(sizes);
}

Result<int> NormalizeAxis(int64_t axis, int rank) {
  if (axis < -rank || axis >= rank) {
    return InvalidInput(fmt::format("axis {} is outside rank {}", axis, rank));
  }
  return static_cast<int>(axis < 0 ? axis + rank : axis);
}

Shape PermuteShape(const Shape& shape, std::span<const int64_t> permutation) {
  WSI_CHECK(static_cast<int>(permutation.size()) == shape.rank());
  std::vector<int64_t> sizes;
  sizes.reserve(permutation.size());
  for (const int64_t axis : permutation) sizes.push_back(shape[static_cast<int>(axis)]);
  return Shape::Make(sizes).value();
}

}  // namespace wsi
