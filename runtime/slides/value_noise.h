// Hashed value noise: the one source of irregularity in synthetic slides.
#pragma once

#include <cmath>
#include <cstdint>

namespace wsi {

// A well-mixed word for a lattice point. The multipliers are large odd numbers; the finaliser
// is that of MurmurHash3 (Austin Appleby, public domain).
constexpr uint32_t HashLattice(int32_t x, int32_t y, uint32_t seed) {
  uint32_t h = seed ^ (static_cast<uint32_t>(x) * 0x9E3779B1U);
  h ^= static_cast<uint32_t>(y) * 0x85EBCA77U + (h << 13U) + (h >> 7U);
  h ^= h >> 16U;
  h *= 0x85EBCA6BU;
  h ^= h >> 13U;
  h *= 0xC2B2AE35U;
  return h ^ (h >> 16U);
}

// A multiple of 2^-24 in [0, 1) from the top bits of a hash.
constexpr float UnitFromHash(uint32_t hash) { return static_cast<float>(hash >> 8U) * 0x1p-24F; }

// Smooth noise in [-1, 1] with features about one unit wide.
inline float ValueNoise(float x, float y, uint32_t seed) {
  const float fx = std::floor(x);
  const float fy = std::floor(y);
  const auto ix = static_cast<int32_t>(fx);
  const auto iy = static_cast<int32_t>(fy);
  const auto smooth = [](float t) { return t * t * (3 - 2 * t); };
  const float tx = smooth(x - fx);
  const float ty = smooth(y - fy);
  const auto corner = [&](int32_t dx, int32_t dy) {
    return 2 * UnitFromHash(HashLattice(ix + dx, iy + dy, seed)) - 1;
  };
  const float top = corner(0, 0) + tx * (corner(1, 0) - corner(0, 0));
  const float bottom = corner(0, 1) + tx * (corner(1, 1) - corner(0, 1));
  return top + ty * (bottom - top);
}

}  // namespace wsi
