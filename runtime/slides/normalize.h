// From the bytes of a sample to the floats a network reads.
#pragma once

#include <cstdint>
#include <span>

#include "runtime/base/dtype.h"

namespace wsi {

// out = (rgb - 127.5) / 127.5, the seed system's input range [-1, 1], rounded as fp32 division
// rounds. Single-threaded: called on spans by whoever has threads.
// `rgb` is rows of H x W x 3.
// REQUIRES: out.size() == rgb.size(), a multiple of 3.
void NormalizeToNhwc(std::span<const uint8_t> rgb, std::span<float> out);
// The same rounded to half precision, f16 or bf16.
void NormalizeToNhwc(std::span<const uint8_t> rgb, DType half, std::span<uint16_t> out);
// The same with the three colours as planes, one after the other.
void NormalizeToNchw(std::span<const uint8_t> rgb, std::span<float> out);

}  // namespace wsi
