#include "runtime/workspace/cuda_depthwise.h"

#include <algorithm>

#include "runtime/workspace/cuda_columns.h"

namespace wsi::cuda {
namespace {

constexpr int64_t kMostBlocks = 2 * 264;  // Two for each multiprocessor, twice.
constexpr unsigned kMostRowsOfTaps = 9;   // Of a block.

}  // namespace

DepthwiseLine DepthwiseLineOf(const Window& w, Bytes element) {
  const int width = PackWidth(element, w.in_channels);
  if (width == 1 || w.in_channels != w.out_channels) return {};
  const int64_t taps = w.kernel[2];
  const int64_t stride = w.stride[2];
  const bool is_made =
      w.dilation[2] == 1 && ((stride == 1 && (taps == 3 || taps == 5 || taps == 7)) ||
                             (stride == 2 && (taps == 3 || taps == 5)));
  if (!is_made) return {.width = width};
  return {.width = width, .taps = static_cast<int>(taps), .stride = static_cast<int>(stride)};
}

// Chunks are as large as fp32 sums allow, unless they would be too few for the device.
DepthwiseGradCut CutDepthwiseGrad(const Window& w, const DepthwiseLine& line) {
  DepthwiseGradCut cut;
  DepthwiseGrad& g = cut.grad;
  g.window = w;
  g.members = w.out_channels / std::max<int64_t>(w.in_channels, 1);
  g.rows = w.batch * w.out[0] * w.out[1];
  g.taps = w.KernelPositions();
  g.rows_of_taps = g.taps / line.taps;
  const int64_t packs = w.out_channels / line.width;
  unsigned& x = cut.pack_threads;
  while (x < 32 && x < packs) x *= 2;
  g.pack_blocks = static_cast<unsigned>(CeilDiv(packs, x));
  const unsigned y = kThreads / x;
  g.tap_threads =
      static_cast<unsigned>(std::min<int64_t>(g.rows_of_taps, std::min(y, kMostRowsOfTaps)));
  while (g.row_parts * g.column_parts * 2 * g.tap_threads <= y) {
    const bool is_wide = g.column_parts * kPartColumns >= w.out[2];
    const bool taller = g.row_parts < g.rows && (is_wide || g.row_parts <= g.column_parts);
    if (is_wide && !taller) break;
    (taller ? g.row_parts : g.column_parts) *= 2;
  }
  cut.blocks = g.pack_blocks * CeilDiv(g.rows_of_taps, g.tap_threads);
  g.column_chunks = CeilDiv(w.out[2], g.column_parts * kPartColumns);
  g.part_rows = 2 * kMostPartRows;
  do {
    g.part_rows /= 2;
    g.chunks = CeilDiv(g.rows, g.row_parts * g.part_rows) * g.column_chunks;
  } while (g.part_rows > 1 && g.chunks * cut.blocks < kMostBlocks);
  cut.sharing = std::min(g.chunks, CeilDiv(kMostBlocks, std::max<int64_t>(cut.blocks, 1)));
  return cut;
}

Bytes DepthwiseGradBytes(const Window& window, DType dtype) {
  return CutDepthwiseGrad(window, DepthwiseLineOf(window, DTypeBytes(dtype))).PartialBytes();
}

Bytes DepthwiseWeightBytes(const Window& window) {
  return window.KernelPositions() * window.out_channels * Bytes{sizeof(float)};
}

}  // namespace wsi::cuda
