#include "runtime/slides/slide.h"

#include <fmt/format.h>
#include <openslide.h>
#include <tiffio.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <mutex>
#include <string_view>
#include <utility>

namespace wsi {
namespace {

constexpr int64_t kBlockSide = 1024;
constexpr double kCoarsestResolutionTagUm = 20;

// libtiff writes warnings about private tags to stderr, where one line is one message of ours.
void SilenceTiff() {
  static std::once_flag once;
  std::call_once(once, [] {
    TIFFSetWarningHandler(nullptr);
    TIFFSetErrorHandler(nullptr);
  });
}

std::optional<double> NumberProperty(openslide_t* handle, const char* name) {
  const char* text = openslide_get_property_value(handle, name);
  if (text == nullptr) return std::nullopt;
  double number = 0;
  const char* end = text + std::strlen(text);
  const auto [rest, error] = std::from_chars(text, end, number);
  if (error != std::errc() || rest != end || !std::isfinite(number)) return std::nullopt;
  return number;
}

std::optional<double> PositiveProperty(openslide_t* handle, const char* name) {
  const std::optional<double> number = NumberProperty(handle, name);
  return number && *number > 0 ? number : std::nullopt;
}

// Micrometres per pixel from tiff.XResolution or tiff.YResolution (pixels per unit).
std::optional<double> ResolutionTag(openslide_t* handle, const char* name) {
  const char* unit = openslide_get_property_value(handle, "tiff.ResolutionUnit");
  const std::optional<double> per_unit = PositiveProperty(handle, name);
  if (unit == nullptr || !per_unit) return std::nullopt;
  double unit_um = 0;
  if (std::string_view(unit) == "centimeter") unit_um = 10000;
  if (std::string_view(unit) == "inch") unit_um = 25400;
  const double mpp = unit_um / *per_unit;
  if (mpp <= 0 || mpp > kCoarsestResolutionTagUm) return std::nullopt;
  return mpp;
}

Result<SlideLevel> ReadLevel(openslide_t* handle, const std::string& path, int32_t index) {
  SlideLevel level;
  openslide_get_level_dimensions(handle, index, &level.width, &level.height);
  level.downsample = openslide_get_level_downsample(handle, index);
  const auto tile = [&](const char* side) {
    const std::string name = fmt::format("openslide.level[{}].tile-{}", index, side);
    return NumberProperty(handle, name.c_str());
  };
  const double tile_width = tile("width").value_or(256);
  const double tile_height = tile("height").value_or(256);
  if (level.width < 1 || level.height < 1 || level.width > kMaxLevelSide ||
      level.height > kMaxLevelSide) {
    return InvalidInput(fmt::format("{}: level {} is {} x {} pixels; allowed are 1 to {} a side",
                                    path, index, level.width, level.height, kMaxLevelSide));
  }
  if (!(tile_width >= 1 && tile_height >= 1 &&
        tile_width * tile_height <= static_cast<double>(kMaxTilePixels))) {
    return InvalidInput(
        fmt::format("{}: level {} has tiles of {:.0f} x {:.0f} pixels; at most {} "
                    "pixels are allowed",
                    path, index, tile_width, tile_height, kMaxTilePixels));
  }
  level.tile_width = static_cast<int64_t>(tile_width);
  level.tile_height = static_cast<int64_t>(tile_height);
  if (!std::isfinite(level.downsample) || level.downsample < 1) {
    return InvalidInput(
        fmt::format("{}: level {} has downsample {}", path, index, level.downsample));
  }
  return level;
}

Result<SlideInfo> ReadInfo(openslide_t* handle, const std::string& path) {
  SlideInfo info;
  const char* vendor = openslide_get_property_value(handle, OPENSLIDE_PROPERTY_NAME_VENDOR);
  info.vendor = vendor == nullptr ? "" : vendor;
  const int32_t count = openslide_get_level_count(handle);
  if (count < 1 || count > kMaxLevels) {
    return InvalidInput(
        fmt::format("{}: has {} levels; allowed are 1 to {}", path, count, kMaxLevels));
  }
  for (int32_t i = 0; i < count; ++i) {
    WSI_ASSIGN_OR_RETURN(SlideLevel level, ReadLevel(handle, path, i));
    info.levels.push_back(level);
  }
  info.mpp_x = PositiveProperty(handle, OPENSLIDE_PROPERTY_NAME_MPP_X);
  info.mpp_y = PositiveProperty(handle, OPENSLIDE_PROPERTY_NAME_MPP_Y);
  if (!info.mpp_x) info.mpp_x = ResolutionTag(handle, "tiff.XResolution");
  if (!info.mpp_y) info.mpp_y = ResolutionTag(handle, "tiff.YResolution");
  info.objective_power = PositiveProperty(handle, OPENSLIDE_PROPERTY_NAME_OBJECTIVE_POWER);
  for (const char* const* name = openslide_get_associated_image_names(handle); *name != nullptr;
       ++name) {
    AssociatedImage image{.name = *name};
    openslide_get_associated_image_dimensions(handle, *name, &image.width, &image.height);
    info.associated_images.push_back(std::move(image));
  }
  return info;
}

// Premultiplied ARGB over white: c + (255 - alpha) for each colour. Where OpenSlide blends tiles
// at fractional positions a colour may exceed its alpha, hence the limit.
void CompositeRow(const uint32_t* argb, int64_t count, uint8_t* rgb) {
  for (int64_t i = 0; i < count; ++i) {
    const uint32_t pixel = argb[i];
    const uint32_t white = 255U - (pixel >> 24U);
    rgb[3 * i] = static_cast<uint8_t>(std::min(((pixel >> 16U) & 255U) + white, 255U));
    rgb[3 * i + 1] = static_cast<uint8_t>(std::min(((pixel >> 8U) & 255U) + white, 255U));
    rgb[3 * i + 2] = static_cast<uint8_t>(std::min((pixel & 255U) + white, 255U));
  }
}

}  // namespace

void Slide::Close::operator()(_openslide* handle) const { openslide_close(handle); }

Slide::Slide(Slide&&) noexcept = default;
Slide& Slide::operator=(Slide&&) noexcept = default;
Slide::~Slide() = default;

Result<Slide::Handle> Slide::OpenHandle(const std::string& path) {
  SilenceTiff();
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) {
    return IoError(fmt::format("{}: no such file", path));
  }
  Handle handle(openslide_open(path.c_str()));
  if (!handle) return InvalidInput(fmt::format("{}: not a slide that OpenSlide can read", path));
  if (const char* message = openslide_get_error(handle.get()); message != nullptr) {
    return InvalidInput(fmt::format("{}: cannot be opened as a slide: {}", path, message));
  }
  return handle;
}

Result<Slide> Slide::Open(const std::string& path) {
  Slide slide;
  slide.path_ = path;
  WSI_ASSIGN_OR_RETURN(slide.handle_, OpenHandle(path));
  WSI_ASSIGN_OR_RETURN(slide.info_, ReadInfo(slide.handle_.get(), path));
  return slide;
}

std::optional<std::string> Slide::ReadBlock(int level, int64_t x, int64_t y, int64_t w, int64_t h) {
  const double downsample = info_.levels[static_cast<size_t>(level)].downsample;
  const auto to_level0 = [&](int64_t position) {
    return static_cast<int64_t>(std::llround(static_cast<double>(position) * downsample));
  };
  argb_.resize(static_cast<size_t>(w * h));
  openslide_read_region(handle_.get(), argb_.data(), to_level0(x), to_level0(y), level, w, h);
  const char* message = openslide_get_error(handle_.get());
  if (message == nullptr) return std::nullopt;
  return std::string(message);
}

Status Slide::ReadBlockWithRetry(int level, int64_t x, int64_t y, int64_t w, int64_t h) {
  std::optional<std::string> message =
      handle_ ? ReadBlock(level, x, y, w, h) : std::optional<std::string>("handle was lost");
  if (!message) return {};
  handle_.reset();
  WSI_ASSIGN_OR_RETURN(handle_, OpenHandle(path_));
  // The file may have been replaced: its sizes must pass again before anything is read.
  WSI_ASSIGN_OR_RETURN(info_, ReadInfo(handle_.get(), path_));
  const bool fits = static_cast<size_t>(level) < info_.levels.size() &&
                    x + w <= info_.levels[static_cast<size_t>(level)].width &&
                    y + h <= info_.levels[static_cast<size_t>(level)].height;
  if (!fits) return InvalidInput(fmt::format("{}: changed while it was read", path_));
  message = ReadBlock(level, x, y, w, h);
  if (!message) return {};
  // A dead handle answers every later read with the same error: leave a fresh one behind, so
  // that another region of a partly damaged slide can still be read.
  handle_.reset();
  if (Result<Handle> fresh = OpenHandle(path_); fresh.ok()) handle_ = std::move(fresh).value();
  return InvalidInput(fmt::format("{}: level {} cannot be read at ({}, {}) size {} x {}: {}", path_,
                                  level, x, y, w, h, *message));
}

Status Slide::ReadRegion(int level, int64_t x, int64_t y, int64_t w, int64_t h,
                         std::span<uint8_t> rgb) {
  WSI_CHECK(level >= 0 && static_cast<size_t>(level) < info_.levels.size());
  const SlideLevel& size = info_.levels[static_cast<size_t>(level)];
  if (x < 0 || y < 0 || w < 1 || h < 1 || x > size.width - w || y > size.height - h) {
    return InvalidInput(
        fmt::format("{}: region at ({}, {}) of {} x {} pixels is not inside level "
                    "{} of {} x {}",
                    path_, x, y, w, h, level, size.width, size.height));
  }
  WSI_CHECK(rgb.size() == static_cast<size_t>(w * h * 3));
  // `size` would dangle after a retry that reads the metadata again; nothing below uses it.
  for (int64_t top = 0; top < h; top += kBlockSide) {
    const int64_t rows = std::min(kBlockSide, h - top);
    for (int64_t left = 0; left < w; left += kBlockSide) {
      const int64_t columns = std::min(kBlockSide, w - left);
      WSI_RETURN_IF_ERROR(ReadBlockWithRetry(level, x + left, y + top, columns, rows));
      for (int64_t row = 0; row < rows; ++row) {
        CompositeRow(argb_.data() + row * columns, columns,
                     rgb.data() + ((top + row) * w + left) * 3);
      }
    }
  }
  return {};
}

}  // namespace wsi
