// Writes tiled pyramidal TIFF with JPEG tiles, in the form that OpenSlide opens as generic-tiff.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "runtime/base/status.h"

namespace wsi {

struct PyramidOptions {
  int64_t width = 0;     // level-0 pixels
  int64_t height = 0;    // level-0 pixels
  double mpp = 0.5;      // micrometres per level-0 pixel, written as resolution tags
  int level_factor = 2;  // 2 or 4: each level's downsample over the one before
  int jpeg_quality = 90;
  std::string description = {};  // The ImageDescription tag of the first page.
  bool force = false;            // Replace a file that exists.
};

inline constexpr int64_t kPyramidTile = 256;

// Fills `rgb` (kPyramidTile x kPyramidTile x 3) with the level-0 pixels from (x, y) on. Tiles at
// the right and bottom edge reach beyond the image; what they hold there is stored, not shown.
using TileSource = std::function<void(int64_t x, int64_t y, std::span<uint8_t> rgb)>;

// Asks `source` once for every tile, row by row. Each further level averages the level before,
// read back tile by tile from the file, until one fits two tiles a side; so memory is a few
// tiles, whatever the size. Beyond 2 GiB of pixels the file is a BigTIFF. The same pixels give
// the same bytes. The file appears under `path` only when it is whole.
// kUsage for a size outside 1 to 2^22 a side or another factor, kResources for a full disk.
Status WritePyramid(const std::string& path, const PyramidOptions& options,
                    const TileSource& source);

}  // namespace wsi
