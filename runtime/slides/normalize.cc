#include "runtime/slides/normalize.h"

#include <array>
#include <cstddef>

#include "runtime/base/status.h"
#include "runtime/base/tensor.h"

namespace wsi {
namespace {

constexpr float kHalfRange = 127.5F;

float Normalized(uint8_t value) { return (static_cast<float>(value) - kHalfRange) / kHalfRange; }

}  // namespace

void NormalizeToNhwc(std::span<const uint8_t> rgb, std::span<float> out) {
  WSI_CHECK(out.size() == rgb.size() && rgb.size() % 3 == 0);
  const uint8_t* __restrict from = rgb.data();
  float* __restrict to = out.data();
  for (size_t i = 0; i < rgb.size(); ++i) to[i] = Normalized(from[i]);
}

// There are 256 different pixels.
void NormalizeToNhwc(std::span<const uint8_t> rgb, DType half, std::span<uint16_t> out) {
  WSI_CHECK(out.size() == rgb.size() && rgb.size() % 3 == 0);
  WSI_CHECK(half == DType::kF16 || half == DType::kBF16);
  std::array<uint16_t, 256> table;
  for (size_t i = 0; i < table.size(); ++i) {
    const float value = Normalized(static_cast<uint8_t>(i));
    table[i] = half == DType::kF16 ? FloatToHalf(value) : FloatToBFloat16(value);
  }
  for (size_t i = 0; i < rgb.size(); ++i) out[i] = table[rgb[i]];
}

void NormalizeToNchw(std::span<const uint8_t> rgb, std::span<float> out) {
  WSI_CHECK(out.size() == rgb.size() && rgb.size() % 3 == 0);
  const size_t plane = rgb.size() / 3;
  const uint8_t* __restrict from = rgb.data();
  float* __restrict red = out.data();
  float* __restrict green = red + plane;
  float* __restrict blue = green + plane;
  for (size_t i = 0; i < plane; ++i) {
    red[i] = Normalized(from[3 * i]);
    green[i] = Normalized(from[3 * i + 1]);
    blue[i] = Normalized(from[3 * i + 2]);
  }
}

}  // namespace wsi
