#include "runtime/slides/view.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>

namespace wsi {
namespace {

// A level may exceed the wanted downsample by this factor: 4.0001 serves for 4.
constexpr double kDownsampleSlack = 1.001;

Status CheckSpec(const ViewSpec& spec) {
  if (spec.height < 1 || spec.width < 1 || spec.height > kMaxLevelSide ||
      spec.width > kMaxLevelSide) {
    return UsageError(fmt::format("sample size {} x {} is not within 1 to {} a side", spec.height,
                                  spec.width, kMaxLevelSide));
  }
  for (const std::optional<double>& mpp : {spec.mpp, spec.slide_mpp}) {
    if (mpp && !(std::isfinite(*mpp) && *mpp > 0)) {
      return UsageError(fmt::format("{} micrometres per pixel is not a scale", *mpp));
    }
  }
  if (spec.mpp && spec.scale == ViewScale::kFit) {
    return UsageError("a scale in micrometres per pixel and fitting the slide exclude each other");
  }
  return {};
}

Result<SlideRegion> UsedRegion(const SlideInfo& info, const std::string& name,
                               const ViewSpec& spec) {
  const int64_t width = info.levels[0].width;
  const int64_t height = info.levels[0].height;
  if (!spec.region) return SlideRegion{0, 0, width, height};
  const SlideRegion& r = *spec.region;
  if (r.x < 0 || r.y < 0 || r.w < 1 || r.h < 1 || r.w > width || r.h > height ||
      r.x > width - r.w || r.y > height - r.h) {
    return InvalidInput(
        fmt::format("{}: region x={} y={} w={} h={} is not inside the slide of {} "
                    "x {} pixels",
                    name, r.x, r.y, r.w, r.h, width, height));
  }
  return r;
}

// Level-0 pixels per sample pixel.
struct Scale {
  double x = 1;
  double y = 1;
};

Result<Scale> WantedScale(const SlideInfo& info, const std::string& name, const ViewSpec& spec,
                          const SlideRegion& region) {
  if (spec.scale == ViewScale::kFit) {
    const double fit =
        std::max({1.0, static_cast<double>(region.w) / static_cast<double>(spec.width),
                  static_cast<double>(region.h) / static_cast<double>(spec.height)});
    return Scale{fit, fit};
  }
  if (!spec.mpp) return Scale{};
  const std::optional<double> mpp_x = spec.slide_mpp ? spec.slide_mpp : info.mpp_x;
  const std::optional<double> mpp_y = spec.slide_mpp ? spec.slide_mpp : info.mpp_y;
  if (!mpp_x || !mpp_y) {
    return InvalidInput(
        fmt::format("{}: does not say its micrometres per pixel, so it cannot be "
                    "brought to {}; give them in the manifest's column mpp",
                    name, *spec.mpp));
  }
  return Scale{*spec.mpp / *mpp_x, *spec.mpp / *mpp_y};
}

int BestLevel(const SlideInfo& info, double wanted) {
  int best = 0;
  for (size_t i = 1; i < info.levels.size(); ++i) {
    const SlideLevel& level = info.levels[i];
    // OpenSlide 3.4.1 over libtiff 4.5 misplaces the pixels of a level smaller than its tile if
    // the tiles are not JPEG.
    if (level.width < level.tile_width || level.height < level.tile_height) continue;
    const double downsample = level.downsample;
    if (downsample <= wanted * kDownsampleSlack &&
        downsample > info.levels[static_cast<size_t>(best)].downsample) {
      best = static_cast<int>(i);
    }
  }
  return best;
}

// `offset`, `length`: the region in level-0 pixels; `scale`: level-0 pixels per sample pixel.
Result<ViewAxis> PlanAxis(const std::string& name, int64_t size, int64_t offset, int64_t length,
                          double scale, double downsample, int64_t level_size) {
  const double scaled = std::max(1.0, std::floor(static_cast<double>(length) / scale + 0.5));
  if (!(scaled <= static_cast<double>(kMaxLevelSide))) {
    return InvalidInput(
        fmt::format("{}: at the asked scale it is {:.0f} pixels long; at most {} "
                    "are allowed",
                    name, scaled, kMaxLevelSide));
  }
  const auto available = static_cast<int64_t>(scaled);
  ViewAxis axis{.size = size};
  axis.count = std::min(size, available);
  axis.begin = (size - axis.count) / 2;
  const int64_t cropped = (available - axis.count) / 2;
  axis.step = scale / downsample;
  axis.start = static_cast<double>(offset) / downsample + static_cast<double>(cropped) * axis.step;
  axis.end =
      std::min(static_cast<double>(offset + length) / downsample, static_cast<double>(level_size));
  if (!(axis.start < axis.end)) {
    return InvalidInput(
        fmt::format("{}: the region lies outside its level of {} pixels", name, level_size));
  }
  return axis;
}

}  // namespace

Result<ViewPlan> PlanView(const SlideInfo& info, const std::string& name, const ViewSpec& spec) {
  WSI_RETURN_IF_ERROR(CheckSpec(spec));
  WSI_ASSIGN_OR_RETURN(const SlideRegion region, UsedRegion(info, name, spec));
  WSI_ASSIGN_OR_RETURN(const Scale scale, WantedScale(info, name, spec, region));
  ViewPlan plan;
  plan.level = BestLevel(info, std::min(scale.x, scale.y));
  const SlideLevel& level = info.levels[static_cast<size_t>(plan.level)];
  WSI_ASSIGN_OR_RETURN(plan.x, PlanAxis(name, spec.width, region.x, region.w, scale.x,
                                        level.downsample, level.width));
  WSI_ASSIGN_OR_RETURN(plan.y, PlanAxis(name, spec.height, region.y, region.h, scale.y,
                                        level.downsample, level.height));
  return plan;
}

Result<ViewPlan> PlanView(const Slide& slide, const ViewSpec& spec) {
  return PlanView(slide.info(), slide.path(), spec);
}

}  // namespace wsi
