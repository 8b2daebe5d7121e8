// Random initial weights that are the same bytes on every machine: counter-based
// (Philox, runtime/base/philox.h) and free of the C library's functions, whose last bit
// differs from one to the next.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace wsi {

// Element i of the tensor `name` depends on the seed, the name and i only.
class WeightRandom {
 public:
  WeightRandom(uint64_t seed, std::string_view name);

  // Normal with mean 0, by Box and Muller: sqrt(-2 ln u) times cos and sin of 2 pi v.
  void FillNormal(double deviation, std::span<float> to) const;
  // Uniform in [-bound, bound).
  void FillUniform(double bound, std::span<float> to) const;

 private:
  // Two independent numbers of 53 bits, in [0, 1).
  struct Pair {
    double u;
    double v;
  };
  Pair Uniforms(uint64_t block) const;

  uint64_t seed_;
  uint64_t stream_;
};

}  // namespace wsi
