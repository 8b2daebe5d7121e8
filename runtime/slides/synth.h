// Paints synthetic H&E-like slides: pink fibrous stroma with purple nuclei inside a wobbly
// outline on white glass, and in every class but 0 a few small lesions.
//
// A lesion is a group of enlarged, dark nuclei in a pale clearing, some 35 pixels wide. The
// clearing is as much lighter as the nuclei are darker, channel by channel, so the mean colour
// of the spot is that of the tissue it replaces. A thumbnail therefore says nothing about the
// class; near full resolution the contrast is stronger than anywhere else on the slide.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "runtime/base/status.h"

namespace wsi {

// The lesions of each class differ in size, shape and chromatin of their nuclei.
inline constexpr int64_t kMaxSyntheticClasses = 5;

struct SyntheticSlideSpec {
  int64_t width = 1024;  // pixels, 128 to 2^20
  int64_t height = 1024;
  int64_t class_index = 0;  // 0: no lesion
  int64_t lesions = 2;      // for the other classes
  uint64_t seed = 0;        // Everything else: outline, stain, nuclei, places of lesions.
};

// A circle in pixels.
struct Lesion {
  float x = 0;
  float y = 0;
  float radius = 0;
};

using Colour = std::array<float, 3>;  // Red, green, blue in [0, 255].

// Immutable after Make: Paint may be called from several threads.
class SlidePainter {
 public:
  // kUsage for sizes, classes or lesion counts outside the allowed ones, or if the lesions find
  // no room in the tissue.
  static Result<SlidePainter> Make(const SyntheticSlideSpec& spec);

  // Fills `rgb` (h x w x 3) with the pixels from (x, y) on. The same pixel has the same value
  // in every window, and pixels beyond the slide are defined as well.
  void Paint(int64_t x, int64_t y, int64_t w, int64_t h, std::span<uint8_t> rgb) const;

  const std::vector<Lesion>& lesions() const { return lesions_; }

 private:
  // A painted lesion: `alpha` says how much of it covers the background.
  struct Patch {
    int64_t x = 0;
    int64_t y = 0;
    int64_t side = 0;
    std::vector<float> alpha;    // side x side
    std::vector<Colour> colour;  // side x side
  };

  explicit SlidePainter(const SyntheticSlideSpec& spec);
  float TissueDepth(float x, float y) const;  // > 0 inside, in pixels from the outline, roughly
  void PaintGround(int64_t x, int64_t y, int64_t w, int64_t h, std::span<uint8_t> rgb) const;
  void PaintNuclei(int64_t x, int64_t y, int64_t w, int64_t h, std::span<uint8_t> rgb) const;
  void PaintLesions(int64_t x, int64_t y, int64_t w, int64_t h, std::span<uint8_t> rgb) const;
  Status PlaceLesions();
  Patch MakePatch(const Lesion& lesion, uint32_t seed) const;

  SyntheticSlideSpec spec_;
  uint32_t seed_ = 0;
  Colour stroma_{};   // this slide's eosin
  Colour nucleus_{};  // this slide's haematoxylin
  float cellularity_ = 0;
  std::vector<int8_t> fibres_;  // A periodic texture, kFibreSide squared.
  std::vector<Lesion> lesions_;
  std::vector<Patch> patches_;
};

}  // namespace wsi
