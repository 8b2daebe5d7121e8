// Draws for random cases: the same seed gives the same case everywhere.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <initializer_list>
#include <random>
#include <string>
#include <vector>

#include "runtime/base/shape.h"

namespace wsi {

class Dice {
 public:
  explicit Dice(uint64_t seed) : random_(seed) {}

  // In [low, high]. REQUIRES: low <= high.
  int64_t Between(int64_t low, int64_t high) {
    return low + static_cast<int64_t>(random_() % static_cast<uint64_t>(high - low + 1));
  }
  bool OneIn(int64_t n) { return Between(1, n) == 1; }
  bool Coin() { return OneIn(2); }
  int64_t Flag() { return Between(0, 1); }
  template <typename T>
  T Pick(std::initializer_list<T> of) {
    return *(of.begin() + Between(0, static_cast<int64_t>(of.size()) - 1));
  }

  // Sizes of 1 to 5 of which the product stays within `most`.
  std::vector<int64_t> Sizes(int64_t low_rank, int64_t high_rank, int64_t most = 96);
  Shape AnyShape(int64_t low_rank, int64_t high_rank, int64_t most = 96) {
    return Shape::Make(Sizes(low_rank, high_rank, most)).value();
  }
  // A shape that broadcasts to `shape`: without leading axes, ones in places.
  Shape Broadcasting(const Shape& shape);
  // Different axes below `rank`, in any order; none at times.
  std::vector<int64_t> Axes(int rank);
  std::vector<int64_t> Permutation(int64_t count);

 private:
  std::mt19937_64 random_;
};

// The environment variable `name`, or `otherwise`.
inline int64_t NumberFromEnvironment(const char* name, int64_t otherwise) {
  const char* text = std::getenv(name);
  return text != nullptr ? std::stoll(text) : otherwise;
}

}  // namespace wsi
