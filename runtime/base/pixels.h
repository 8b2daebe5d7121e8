// From bytes of pixels to the numbers that a network reads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "runtime/base/dtype.h"

namespace wsi {

// (v - 127.5) / 127.5, the seed system's input range [-1, 1], as fp32 division rounds.
constexpr float NormalizedPixel(uint8_t v) { return (static_cast<float>(v) - 127.5F) / 127.5F; }

// Each byte of `rgb` as a value of `dtype`, rounded once more for halves. Single-threaded:
// called on spans by whoever has threads.
// REQUIRES: f32, f64, f16 or bf16; `out` has that many values.
void NormalizePixels(std::span<const uint8_t> rgb, DType dtype, std::span<std::byte> out);

}  // namespace wsi
