// XXH3-128 of bytes: finds every accidental change of a file. It is no defence
// against a forger, so what a hash covers is still validated as untrusted.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace wsi {

// Canonical (big-endian) XXH3-128 digest.
struct Hash128 {
  std::array<std::byte, 16> bytes{};
  std::string ToHex() const;  // 32 lower-case digits.
  bool operator==(const Hash128&) const = default;
};

Hash128 HashBytes(std::span<const std::byte> bytes);

// The hash of everything given to Add, in order.
class Hasher {
 public:
  Hasher();
  void Add(std::span<const std::byte> bytes);
  Hash128 Finish() const;

 private:
  struct State;
  struct Free {
    void operator()(State* state) const;
  };
  std::unique_ptr<State, Free> state_;
};

}  // namespace wsi
