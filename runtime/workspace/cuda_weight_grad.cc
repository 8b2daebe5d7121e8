#include "runtime/workspace/cuda_weight_grad.h"

#include <algorithm>
#include <cmath>

namespace wsi::cuda {
namespace {

// Of an H100.
constexpr double kMultiprocessors = 132;
constexpr double kMultiplyRate = 600e12;  // FLOP/s.
constexpr double kLoadRate = 6e12;        // Bytes/s into shared memory.
constexpr double kStageSeconds = 15e-12;  // Of a stage, whatever its size, for a position.
constexpr double kStoreRate = 2e12;       // Of parts, written and read.
constexpr Bytes kMostPartBytes = Bytes{128} << 20;
constexpr int64_t kMostChunks = 4096;
constexpr int64_t kLeastChunk = 512;
constexpr double kPrologue = 16;  // Stages that starting a block takes.

constexpr int64_t kPack = 8;             // Halves of 16 bytes.
constexpr int64_t kBundleChannels = 64;  // Mostly, of a bundle.

// The product of a bundle: [rows, positions] by [positions, columns].
struct Sizes {
  int64_t positions = 0;
  int64_t rows = 0;
  int64_t columns = 0;
  int64_t channels = 1;
  int64_t bundles = 1;
  int64_t elements = 0;  // Of the whole gradient.
};

Sizes SizesOf(const Window& w, int64_t groups) {
  const int64_t bundled = GroupsOfBundle(w, groups);
  const int64_t channels = bundled * (w.in_channels / groups);
  return {.positions = w.batch * w.OutPositions(),
          .rows = bundled * (w.out_channels / groups),
          .columns = channels * w.KernelPositions(),
          .channels = std::max<int64_t>(channels, 1),
          .bundles = CeilDiv(groups, bundled),
          .elements = w.out_channels * w.KernelPositions() * w.in_channels / groups};
}

// Of a bundle.
int64_t TileCount(const Sizes& s, Gather gather, const WeightGradTile& tile) {
  const int64_t columns = gather == Gather::kNarrow ? s.columns / s.channels * 4 : s.columns;
  return CeilDiv(s.rows, tile.rows) * CeilDiv(columns, tile.columns);
}

// Of one position in one tile, all multiprocessors at work.
double PositionSeconds(const WeightGradTile& tile) {
  return kStageSeconds + std::max(2.0 * tile.rows * tile.columns / kMultiplyRate,
                                  2.0 * (tile.rows + tile.columns) / kLoadRate);
}

double CutSeconds(const Sizes& s, const WeightGradTile& tile, int64_t tiles, int64_t chunks) {
  const double blocks = kMultiprocessors * tile.blocks;
  const double stages =
      static_cast<double>(CeilDiv(CeilDiv(s.positions, chunks), kWeightGradDepth));
  const double rounds = std::ceil(static_cast<double>(tiles * chunks) / blocks);
  const double part_bytes = 8.0 * static_cast<double>(s.elements * chunks);
  return rounds * (stages + kPrologue) * kWeightGradDepth * blocks * PositionSeconds(tile) +
         part_bytes / kStoreRate;
}

}  // namespace

int64_t GroupsOfBundle(const Window& w, int64_t groups) {
  const int64_t in = w.in_channels / groups;
  const int64_t out = w.out_channels / groups;
  const int64_t widest = std::max<int64_t>(std::max(in, out), 1);
  const int64_t most = std::clamp<int64_t>(kBundleChannels / widest, 1, groups);
  const auto in_packs = [&](int64_t n) { return n * in % kPack == 0 && n * out % kPack == 0; };
  for (int64_t n = most; n > 0; --n) {
    if (in_packs(n)) return n;
  }
  for (int64_t n = most + 1; n <= std::min<int64_t>(groups, kPack); ++n) {
    if (in_packs(n)) return n;
  }
  return most;
}

Gather GatherOf(const Window& w, int64_t groups) {
  const bool plane = w.in[0] == 1 && w.out[0] == 1 && w.kernel[0] == 1 && w.pad_begin[0] == 0;
  const int64_t bundled = GroupsOfBundle(w, groups);
  const auto in_packs = [&](int64_t channels) {  // Of positions and of bundles.
    return channels % kPack == 0 && bundled * (channels / groups) % kPack == 0;
  };
  if (!in_packs(w.out_channels)) return Gather::kAny;
  if (plane && groups == 1 && w.in_channels <= 4) return Gather::kNarrow;
  if (!in_packs(w.in_channels)) return Gather::kAny;
  const Index3 none{0, 0, 0};
  const Index3 one{1, 1, 1};
  const bool point = w.KernelPositions() == 1 && w.stride == one && w.pad_begin == none;
  if (point && w.in == w.out) return Gather::kPoint;
  return plane ? Gather::kPlane : Gather::kAny;
}

std::span<const size_t> TilesFor(const Window& window, int64_t groups) {
  static constexpr size_t kAll[] = {0, 1, 2, 3, 4, 5};
  static constexpr size_t kOfBundles[] = {0, 3};
  const Gather gather = GatherOf(window, groups);
  if (gather != Gather::kPoint && gather != Gather::kPlane) return std::span(kAll).first(1);
  if (GroupsOfBundle(window, groups) > 1) return kOfBundles;
  return kAll;
}

WeightGradCut CutWeightGrad(const Window& w, int64_t groups, std::optional<size_t> tiling,
                            Bytes most) {
  const Sizes s = SizesOf(w, groups);
  WeightGradCut best{.gather = GatherOf(w, groups), .bundled = GroupsOfBundle(w, groups)};
  const Bytes result_bytes = s.elements * Bytes{sizeof(float)};
  if (s.positions * result_bytes == 0) return best;
  const int64_t most_chunks = std::clamp<int64_t>(
      std::min(std::min(kMostPartBytes, most) / result_bytes, CeilDiv(s.positions, kLeastChunk)), 1,
      kMostChunks);
  double best_seconds = std::numeric_limits<double>::infinity();
  std::span<const size_t> tilings = TilesFor(w, groups);
  if (tiling) tilings = tilings.subspan(*tiling, 1);
  for (const size_t t : tilings) {
    const WeightGradTile& tile = kWeightGradTiles[t];
    const int64_t of_bundle = TileCount(s, best.gather, tile);
    for (int64_t chunks = 1; chunks <= most_chunks; ++chunks) {
      const double seconds = CutSeconds(s, tile, of_bundle * s.bundles, chunks);
      if (seconds >= best_seconds) continue;
      best_seconds = seconds;
      best.tile = t;
      best.tiles = of_bundle * s.bundles;
      best.bundle_tiles = of_bundle;
      best.chunks = chunks;
    }
  }
  best.chunk = AlignUp(CeilDiv(s.positions, best.chunks), kWeightGradDepth);
  best.chunks = CeilDiv(s.positions, best.chunk);
  if (best.chunks > 1) best.part_bytes = best.chunks * result_bytes;
  return best;
}

}  // namespace wsi::cuda
