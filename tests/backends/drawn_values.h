// Numbers that are a function of a seed and of where they lie: a tensor of any size need
// not be kept to know what a part of it holds.
#pragma once

#include <cstdint>

namespace wsi {

// Element i: low + step * k, k drawn from 0 to below `count`; either sign where `is_signed`.
// All are exact in single precision.
struct Draw {
  double low = 0;
  double step = 0;
  uint32_t count = 1;
  bool is_signed = false;
  uint64_t seed = 0;

  constexpr double At(int64_t i) const {
    // Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
    uint64_t word = (static_cast<uint64_t>(i) + 1) * 0x9E3779B97F4A7C15U + seed;
    word = (word ^ (word >> 30)) * 0xBF58476D1CE4E5B9U;
    word = (word ^ (word >> 27)) * 0x94D049BB133111EBU;
    word ^= word >> 31;
    const uint64_t k = (word >> 32) * count >> 32;
    const double value = low + step * static_cast<double>(k);
    return is_signed && (word & 1) != 0 ? -value : value;
  }
};

}  // namespace wsi
