// Arithmetic on sizes that reports overflow instead of wrapping. A 64-channel
// 20,000 x 20,000 fp32 map is 102 GB, so every size is int64_t and checked.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "runtime/base/status.h"

namespace wsi {

using Bytes = int64_t;

Result<int64_t> CheckedMul(int64_t a, int64_t b);
Result<int64_t> CheckedAdd(int64_t a, int64_t b);

// The smallest multiple of `alignment` that is at least `value`.
// REQUIRES: value >= 0, alignment > 0, and no overflow.
constexpr int64_t AlignUp(int64_t value, int64_t alignment) {
  return (value + alignment - 1) / alignment * alignment;
}
// REQUIRES: value >= 0, divisor > 0.
constexpr int64_t CeilDiv(int64_t value, int64_t divisor) {
  return (value + divisor - 1) / divisor;
}

// Every buffer of every arena starts at a multiple of this.
inline constexpr Bytes kBufferAlignment = 256;

// "61.2 GiB", "512 B".
std::string FormatBytes(Bytes bytes);
// Reads "70GiB", "512 MiB", "4096" (bytes); units B, KiB, MiB, GiB, TiB.
Result<Bytes> ParseBytes(std::string_view text);

}  // namespace wsi
