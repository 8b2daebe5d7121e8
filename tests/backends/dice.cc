#include "tests/backends/dice.h"

#include <numeric>
#include <utility>

namespace wsi {

std::vector<int64_t> Dice::Sizes(int64_t low_rank, int64_t high_rank, int64_t most) {
  std::vector<int64_t> sizes(static_cast<size_t>(Between(low_rank, high_rank)));
  int64_t product = 1;
  for (int64_t& size : sizes) {
    size = OneIn(5) ? 1 : Between(2, 5);
    if (product * size > most) size = 1;
    product *= size;
  }
  return sizes;
}

Shape Dice::Broadcasting(const Shape& shape) {
  std::vector<int64_t> sizes(shape.begin(), shape.end());
  for (int64_t& size : sizes) size = OneIn(3) ? 1 : size;
  if (OneIn(3)) sizes.erase(sizes.begin(), sizes.begin() + Between(0, shape.rank()));
  return Shape::Make(sizes).value();
}

std::vector<int64_t> Dice::Permutation(int64_t count) {
  std::vector<int64_t> order(static_cast<size_t>(count));
  std::iota(order.begin(), order.end(), int64_t{0});
  for (int64_t i = count - 1; i > 0; --i) {
    std::swap(order[static_cast<size_t>(i)], order[static_cast<size_t>(Between(0, i))]);
  }
  return order;
}

std::vector<int64_t> Dice::Axes(int rank) {
  std::vector<int64_t> axes = Permutation(rank);
  axes.resize(static_cast<size_t>(Between(OneIn(8) ? 0 : std::min(rank, 1), rank)));
  return axes;
}

}  // namespace wsi
