// Nuclei and lesions of synthetic slides, pixel by pixel.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

#include "runtime/slides/synth.h"
#include "runtime/slides/value_noise.h"

namespace wsi {

// An ellipse with a soft border and granular chromatin.
struct Nucleus {
  float x = 0;
  float y = 0;
  float a = 0;  // long semi-axis, pixels
  float b = 0;  // short semi-axis
  float angle = 0;
  uint32_t seed = 0;
  float granularity = 0.25F;  // how much of the stain the chromatin's grain takes away
  float hollow = 0;           // how pale the middle is, in [0, 1]

  // Calls visit(i, j, cover) for every covered pixel of the window, (i, j) counted from its
  // corner (x0, y0) and cover in (0, 1].
  template <typename F>
  void Visit(int64_t x0, int64_t y0, int64_t w, int64_t h, F&& visit) const {
    const float cosine = std::cos(angle);
    const float sine = std::sin(angle);
    const float reach = a + 1;
    const auto first = [reach](float centre, int64_t origin) {
      return std::max<int64_t>(0, static_cast<int64_t>(std::floor(centre - reach)) - origin);
    };
    const auto last = [reach](float centre, int64_t origin, int64_t size) {
      return std::min(size - 1, static_cast<int64_t>(std::ceil(centre + reach)) - origin);
    };
    for (int64_t j = first(y, y0); j <= last(y, y0, h); ++j) {
      for (int64_t i = first(x, x0); i <= last(x, x0, w); ++i) {
        const float dx = static_cast<float>(x0 + i) - x;
        const float dy = static_cast<float>(y0 + j) - y;
        const float u = (dx * cosine + dy * sine) / a;
        const float v = (dy * cosine - dx * sine) / b;
        const float r = std::sqrt(u * u + v * v);
        const float edge = std::clamp((1 - r) * b + 0.5F, 0.0F, 1.0F);
        if (edge <= 0) continue;
        const float grain = UnitFromHash(HashLattice(static_cast<int32_t>((x0 + i) >> 1),
                                                     static_cast<int32_t>((y0 + j) >> 1), seed));
        const float middle = 1 - hollow * std::clamp(1.4F - 1.8F * r, 0.0F, 1.0F);
        visit(i, j, edge * middle * (1 - granularity * grain));
      }
    }
  }
};

// A square of the slide.
struct LesionWindow {
  int64_t x = 0;
  int64_t y = 0;
  int64_t side = 0;
};

struct LesionPixels {
  std::vector<float> alpha;    // side x side: how much of `colour` replaces the ground
  std::vector<Colour> colour;  // side x side
};

// The lesion over `ground` (side x side x 3). Invariant: the sum of each channel over the window
// after blending is that of `ground`, but for rounding.
// REQUIRES: 1 <= class_index < kMaxSyntheticClasses.
LesionPixels PaintLesion(const Lesion& lesion, int64_t class_index, uint32_t seed,
                         const LesionWindow& window, std::span<const uint8_t> ground);

}  // namespace wsi
