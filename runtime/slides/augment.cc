#include "runtime/slides/augment.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "runtime/base/philox.h"

namespace wsi {
namespace {

// Sets these numbers apart from those of the graph's nodes, which count from 0.
constexpr int64_t kAugmentNode = 0x41554732;
constexpr int64_t kTransposeTile = 32;

struct Pixel {
  uint8_t c[3];
};
static_assert(sizeof(Pixel) == 3 && alignof(Pixel) == 1);

// Swaps across the diagonal in squares that stay in cache.
void Transpose(Pixel* pixels, int64_t side) {
  for (int64_t top = 0; top < side; top += kTransposeTile) {
    for (int64_t left = top; left < side; left += kTransposeTile) {
      const int64_t bottom = std::min(side, top + kTransposeTile);
      const int64_t right = std::min(side, left + kTransposeTile);
      for (int64_t y = top; y < bottom; ++y) {
        for (int64_t x = std::max(left, y + 1); x < right; ++x) {
          std::swap(pixels[y * side + x], pixels[x * side + y]);
        }
      }
    }
  }
}

void ChangeTones(float brightness, float contrast, std::span<uint8_t> rgb) {
  std::array<uint8_t, 256> table{};
  for (size_t v = 0; v < table.size(); ++v) {
    const float value = (static_cast<float>(v) * brightness - 127.5F) * contrast + 127.5F;
    table[v] = static_cast<uint8_t>(std::clamp(std::floor(value + 0.5F), 0.0F, 255.0F));
  }
  for (uint8_t& value : rgb) value = table[value];
}

}  // namespace

Status CheckAugmentOptions(const AugmentOptions& options) {
  for (const double amount : {options.brightness, options.contrast}) {
    if (!(amount >= 0 && amount < 1)) {
      return UsageError(fmt::format("brightness or contrast by {}; allowed is [0, 1)", amount));
    }
  }
  return {};
}

Augmentation DrawAugmentation(const AugmentOptions& options, int64_t seed, int64_t epoch,
                              int64_t row, bool square) {
  const PhiloxStream stream(seed, epoch, kAugmentNode);
  const std::array<uint32_t, 4> shape = stream.Block(2 * row);
  const std::array<uint32_t, 4> tone = stream.Block(2 * row + 1);
  Augmentation drawn;
  if (options.flips) {
    drawn.flip_x = (shape[0] & 1U) != 0;
    drawn.flip_y = (shape[1] & 1U) != 0;
  }
  if (options.rotations) {
    // A turn by 180 degrees is both flips; by 90 a transposition and one flip.
    const uint32_t quarters = square ? shape[2] & 3U : shape[2] & 2U;
    drawn.transpose = (quarters & 1U) != 0;
    if (quarters == 1 || quarters == 2) drawn.flip_x = !drawn.flip_x;
    if (quarters == 3 || quarters == 2) drawn.flip_y = !drawn.flip_y;
  }
  const auto factor = [](double amount, uint32_t word) {
    return static_cast<float>(1 + amount * (2 * static_cast<double>(UniformFloat(word)) - 1));
  };
  drawn.brightness = factor(options.brightness, tone[0]);
  drawn.contrast = factor(options.contrast, tone[1]);
  return drawn;
}

void ApplyAugmentation(const Augmentation& augmentation, int64_t height, int64_t width,
                       std::span<uint8_t> rgb) {
  WSI_CHECK(rgb.size() == static_cast<size_t>(height * width * 3));
  auto* pixels = reinterpret_cast<Pixel*>(rgb.data());
  if (augmentation.transpose) {
    WSI_CHECK(height == width);
    Transpose(pixels, height);
  }
  if (augmentation.flip_x) {
    for (int64_t y = 0; y < height; ++y) {
      std::reverse(pixels + y * width, pixels + (y + 1) * width);
    }
  }
  if (augmentation.flip_y) {
    for (int64_t y = 0; y < height / 2; ++y) {
      std::swap_ranges(pixels + y * width, pixels + (y + 1) * width,
                       pixels + (height - 1 - y) * width);
    }
  }
  if (augmentation.brightness != 1 || augmentation.contrast != 1) {
    ChangeTones(augmentation.brightness, augmentation.contrast, rgb);
  }
}

}  // namespace wsi
