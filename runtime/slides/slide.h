// One whole-slide image on disk, read through OpenSlide.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "runtime/base/status.h"

struct _openslide;  // NOLINT(bugprone-reserved-identifier): the library's own name

namespace wsi {

struct SlideLevel {
  int64_t width = 0;   // pixels of this level
  int64_t height = 0;  // pixels of this level
  // Level-0 pixels per pixel of this level; 1 for level 0, never decreasing.
  double downsample = 1;
  // Storage tiles; {256, 256} where the format does not say.
  int64_t tile_width = 256;
  int64_t tile_height = 256;
};

struct AssociatedImage {
  std::string name;
  int64_t width = 0;
  int64_t height = 0;
};

struct SlideInfo {
  std::string vendor;
  std::vector<SlideLevel> levels;  // At least one.
  // Micrometres per level-0 pixel. From the vendor's metadata, else from the TIFF resolution
  // tags unless these say more than 20 um, which is an editor's 72 dpi and not a microscope.
  std::optional<double> mpp_x;
  std::optional<double> mpp_y;
  std::optional<double> objective_power;
  std::vector<AssociatedImage> associated_images;
};

// Limits on what a file may declare. OpenSlide allocates a whole tile at once and ends the
// process when it cannot, so a tile is judged before anything is read.
inline constexpr int64_t kMaxTilePixels = int64_t{1} << 26;
inline constexpr int64_t kMaxLevelSide = int64_t{1} << 22;
inline constexpr int64_t kMaxLevels = 64;

// Move-only. Not thread-safe: each thread opens its own.
class Slide {
 public:
  // kIo if there is no such file, kInvalidInput if it is no slide or declares sizes beyond the
  // limits above.
  static Result<Slide> Open(const std::string& path);

  Slide(Slide&&) noexcept;
  Slide& operator=(Slide&&) noexcept;
  ~Slide();

  const std::string& path() const { return path_; }
  const SlideInfo& info() const { return info_; }

  // Fills `rgb` (h x w x 3, row-major) with the pixels [x, x+w) x [y, y+h) of `level`, given in
  // pixels of that level. What the slide leaves transparent is white.
  //
  // kInvalidInput if the region is not inside the level (OpenSlide would return transparent
  // zeros without a word) or cannot be decoded. An OpenSlide handle is dead after its first
  // error, so the file is opened again and the read tried once more before this gives up.
  //
  // OpenSlide addresses every level in whole level-0 pixels; where the downsample is not an
  // integer the content may be shifted by at most half a level-0 pixel.
  // REQUIRES: 0 <= level < info().levels.size(), rgb.size() == h * w * 3.
  Status ReadRegion(int level, int64_t x, int64_t y, int64_t w, int64_t h, std::span<uint8_t> rgb);

 private:
  struct Close {
    void operator()(_openslide* handle) const;
  };
  using Handle = std::unique_ptr<_openslide, Close>;

  Slide() = default;
  static Result<Handle> OpenHandle(const std::string& path);
  // As ReadRegion, for a block that fits the scratch buffer, with the handle as it is. Returns
  // OpenSlide's message on failure.
  std::optional<std::string> ReadBlock(int level, int64_t x, int64_t y, int64_t w, int64_t h);
  Status ReadBlockWithRetry(int level, int64_t x, int64_t y, int64_t w, int64_t h);

  std::string path_;
  SlideInfo info_;
  Handle handle_;
  std::vector<uint32_t> argb_;  // One block, premultiplied.
};

}  // namespace wsi
