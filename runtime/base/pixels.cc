#include "runtime/base/pixels.h"

#include <array>

#include "runtime/base/status.h"
#include "runtime/base/tensor.h"

namespace wsi {
namespace {

// There are 256 different pixels.
template <typename T, typename F>
void Translate(std::span<const uint8_t> rgb, const F& value_of, std::span<std::byte> out) {
  std::array<T, 256> table;
  for (size_t i = 0; i < table.size(); ++i) {
    table[i] = value_of(NormalizedPixel(static_cast<uint8_t>(i)));
  }
  auto* __restrict to = reinterpret_cast<T*>(out.data());
  for (size_t i = 0; i < rgb.size(); ++i) to[i] = table[rgb[i]];
}

void NormalizeSingles(std::span<const uint8_t> rgb, std::span<std::byte> out) {
  const uint8_t* __restrict from = rgb.data();
  auto* __restrict to = reinterpret_cast<float*>(out.data());
  for (size_t i = 0; i < rgb.size(); ++i) to[i] = NormalizedPixel(from[i]);
}

}  // namespace

void NormalizePixels(std::span<const uint8_t> rgb, DType dtype, std::span<std::byte> out) {
  WSI_CHECK(out.size() == rgb.size() * static_cast<size_t>(DTypeBytes(dtype)));
  switch (dtype) {
    case DType::kF32: NormalizeSingles(rgb, out); break;
    case DType::kF64:
      Translate<double>(
          rgb, [](float v) { return v; }, out);
      break;
    case DType::kF16: Translate<uint16_t>(rgb, FloatToHalf, out); break;
    case DType::kBF16: Translate<uint16_t>(rgb, FloatToBFloat16, out); break;
    default: WSI_CHECK(false);
  }
}

}  // namespace wsi
