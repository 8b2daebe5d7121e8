// Random changes of a sample that leave its label alone, as pure functions of seed, epoch and
// row, so that they depend on no thread and no restart.
#pragma once

#include <cstdint>
#include <span>

#include "runtime/base/status.h"

namespace wsi {

struct AugmentOptions {
  bool flips = false;      // left-right and top-bottom
  bool rotations = false;  // by 90 degrees; by 180 only where height and width differ
  double brightness = 0;   // factor from [1 - b, 1 + b]; 0 <= b < 1
  double contrast = 0;     // factor about mid-grey from [1 - c, 1 + c]; 0 <= c < 1
};

// kUsage if an amount is out of range.
Status CheckAugmentOptions(const AugmentOptions& options);

// One draw. Applied in this order: transpose, flips, brightness, contrast.
struct Augmentation {
  bool transpose = false;
  bool flip_x = false;
  bool flip_y = false;
  float brightness = 1;
  float contrast = 1;
};

// The draw for sample `row` in `epoch`. `square`: whether height equals width.
Augmentation DrawAugmentation(const AugmentOptions& options, int64_t seed, int64_t epoch,
                              int64_t row, bool square);

// Changes `rgb` (height x width x 3) in place:
//   v -> clamp((v * brightness - 127.5) * contrast + 127.5), rounded.
// REQUIRES: rgb.size() == height * width * 3; height == width if transposing.
void ApplyAugmentation(const Augmentation& augmentation, int64_t height, int64_t width,
                       std::span<uint8_t> rgb);

}  // namespace wsi
