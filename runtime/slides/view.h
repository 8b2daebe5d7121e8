// Which pixels of a slide become a sample: the geometry alone, without any decoding.
#pragma once

#include <cstdint>
#include <optional>

#include "runtime/base/status.h"
#include "runtime/slides/slide.h"

namespace wsi {

// A rectangle in level-0 pixels, half-open.
struct SlideRegion {
  int64_t x = 0;
  int64_t y = 0;
  int64_t w = 0;
  int64_t h = 0;
  auto operator<=>(const SlideRegion&) const = default;
};

// How a slide is brought to height x width.
enum class ViewScale : uint8_t {
  // Keep the scale (level 0, or `mpp`), then crop about the centre or pad with white. The
  // default: a lesion is visible only near full resolution, and the same scale for every slide
  // is what a network can learn from.
  kCrop,
  // Shrink, never enlarge, until all of it fits, then pad with white. For overviews.
  kFit,
};

struct ViewSpec {
  int64_t height = 0;  // pixels of the sample
  int64_t width = 0;   // pixels of the sample
  // Micrometres per pixel of the sample; without it the scale of level 0. Only with kCrop.
  std::optional<double> mpp = std::nullopt;
  // Micrometres per level-0 pixel, overriding what the file says.
  std::optional<double> slide_mpp = std::nullopt;
  // Part of the slide to use; without it all of it.
  std::optional<SlideRegion> region = std::nullopt;
  ViewScale scale = ViewScale::kCrop;
};

// One axis of a view. Sample pixels [begin, begin + count) show image; the rest is white.
// Sample pixel begin + i is the mean of level pixels [start + i*step, start + (i+1)*step), cut
// off at `end`; its neighbours outside the region are never read.
struct ViewAxis {
  int64_t size = 0;   // pixels of the sample
  int64_t begin = 0;  // first sample pixel with image
  int64_t count = 0;  // sample pixels with image, >= 1
  double start = 0;   // level pixels
  double step = 1;    // level pixels per sample pixel
  double end = 0;     // level pixels; start < end <= the level's size
};

struct ViewPlan {
  // The level of largest downsample not above the wanted one. A level smaller than one of its
  // storage tiles is passed over.
  int level = 0;
  ViewAxis x;
  ViewAxis y;
};

// kUsage for a spec that contradicts itself, kInvalidInput for one that this slide cannot meet:
// a region that leaves the slide, `mpp` without a known scale, more than 2^22 a side.
Result<ViewPlan> PlanView(const Slide& slide, const ViewSpec& spec);
// The same from metadata; `name` is for messages.
Result<ViewPlan> PlanView(const SlideInfo& info, const std::string& name, const ViewSpec& spec);

}  // namespace wsi
