// Philox4x32-10, the counter-based generator of Salmon, Moraes, Dror and Shaw,
// "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011. A random number is a pure
// function of seed, step, node and element, so it depends on no thread, rank or
// restart.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace wsi {

using PhiloxCounter = std::array<uint32_t, 4>;
using PhiloxKey = std::array<uint32_t, 2>;

constexpr PhiloxCounter Philox4x32(PhiloxCounter counter, PhiloxKey key) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t a = uint64_t{0xD2511F53U} * counter[0];
    const uint64_t b = uint64_t{0xCD9E8D57U} * counter[2];
    counter = {static_cast<uint32_t>(b >> 32) ^ counter[1] ^ key[0], static_cast<uint32_t>(b),
               static_cast<uint32_t>(a >> 32) ^ counter[3] ^ key[1], static_cast<uint32_t>(a)};
    key[0] += 0x9E3779B9U;  // Weyl sequence of the golden ratio,
    key[1] += 0xBB67AE85U;  // and of sqrt(3) - 1.
  }
  return counter;
}

// A multiple of 2^-24 in [0, 1).
constexpr float UniformFloat(uint32_t word) { return static_cast<float>(word >> 8) * 0x1p-24F; }

// The random words of one node in one step.
//
//   key     = low and high half of the seed
//   counter = low and high half of (element / 4), low half of step, node
//   word    = element % 4 of the result
class PhiloxStream {
 public:
  constexpr PhiloxStream(int64_t seed, int64_t step, int64_t node)
      : key_{Low(seed), High(seed)}, step_(Low(step)), node_(Low(node)) {}

  // The words of elements 4 * block to 4 * block + 3.
  constexpr std::array<uint32_t, 4> Block(int64_t block) const {
    return Philox4x32({Low(block), High(block), step_, node_}, key_);
  }
  constexpr uint32_t Word(int64_t element) const {
    return Block(element / 4)[static_cast<size_t>(element % 4)];
  }
  // REQUIRES: element >= 0.
  constexpr float Uniform(int64_t element) const { return UniformFloat(Word(element)); }

 private:
  static constexpr uint32_t Low(int64_t v) { return static_cast<uint32_t>(v); }
  static constexpr uint32_t High(int64_t v) {
    return static_cast<uint32_t>(static_cast<uint64_t>(v) >> 32);
  }

  PhiloxKey key_;
  uint32_t step_;
  uint32_t node_;
};

}  // namespace wsi
