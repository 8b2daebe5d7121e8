// How weight gradients of halves (weight_grad.cu) are cut into tiles of the result and chunks
// of positions.
#pragma once

#include <limits>
#include <optional>
#include <span>

#include "runtime/backends/window.h"
#include "runtime/base/checked.h"

namespace wsi::cuda {

// How x is gathered.
enum class Gather {
  kPoint,   // A position's output reads its own input: packs of 8 channels.
  kPlane,   // Two axes: packs of 8 channels.
  kNarrow,  // Two axes, at most 4 channels: packs of 4.
  kAny,     // Element by element; dy too.
};
Gather GatherOf(const Window& window, int64_t groups);

// How many groups a bundle has: where that can be, so many that its channels begin at packs.
int64_t GroupsOfBundle(const Window& window, int64_t groups);

// A block's tile of the result.
struct WeightGradTile {
  int rows = 0;     // Output channels.
  int columns = 0;  // Taps times input channels.
  int blocks = 0;   // On a multiprocessor.
};
inline constexpr WeightGradTile kWeightGradTiles[] = {{64, 128, 2}, {128, 64, 2}, {128, 128, 2},
                                                      {64, 256, 2}, {256, 64, 2}, {256, 128, 1}};
// Those that there are for it.
std::span<const size_t> TilesFor(const Window& window, int64_t groups);

inline constexpr int kWeightGradDepth = 32;  // Positions that are multiplied at a time.

struct WeightGradCut {
  Gather gather = Gather::kAny;
  int64_t bundled = 1;  // Groups of a bundle.
  size_t tile = 0;      // Of kWeightGradTiles.
  int64_t tiles = 0;
  int64_t bundle_tiles = 0;
  int64_t chunk = 0;  // Positions.
  int64_t chunks = 0;
  Bytes part_bytes = 0;  // What the chunks' sums take where there are several.
};
// The fastest by the cost model of an H100, whatever the device: bits depend on sizes alone.
// `tiling`: one of TilesFor; `most`: of part_bytes.
WeightGradCut CutWeightGrad(const Window& window, int64_t groups,
                            std::optional<size_t> tiling = std::nullopt,
                            Bytes most = std::numeric_limits<Bytes>::max());

}  // namespace wsi::cuda
