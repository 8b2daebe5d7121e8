// How weight gradients of depthwise convolutions (depthwise_weight_grad.cu) are cut.
//
//     block: x over packs of channels; y over rows of taps and, for each, over parts of the
//            chunk
//     chunk: part_rows x row_parts output rows by kPartColumns x column_parts columns
#pragma once

#include "runtime/backends/window.h"
#include "runtime/base/checked.h"
#include "runtime/base/dtype.h"

namespace wsi::cuda {

// What the inner loop is made for.
struct DepthwiseLine {
  int width = 1;   // Channels of a pack.
  int taps = 1;    // Neighbours along the last axis, of which the kernel is;
  int stride = 0;  // 0: one tap at a time, of any window.
};
DepthwiseLine DepthwiseLineOf(const Window& window, Bytes element);

inline constexpr int64_t kPartColumns = 32;   // Of a thread's part of a chunk,
inline constexpr int64_t kMostPartRows = 16;  // and its rows: 512 positions.

struct DepthwiseGrad {
  Window window;
  int64_t members = 1;       // Output channels of an input channel.
  int64_t rows = 1;          // Output rows of all planes and images.
  int64_t rows_of_taps = 1;  // Of the line's taps each.
  int64_t taps = 1;
  int64_t part_rows = 1;
  int64_t chunks = 1;  // Chunks by rows times chunks by columns.
  int64_t column_chunks = 1;
  unsigned row_parts = 1;
  unsigned column_parts = 1;
  unsigned tap_threads = 1;  // Rows of taps of a block.
  unsigned pack_blocks = 1;
};
struct DepthwiseGradCut {
  DepthwiseGrad grad;
  unsigned pack_threads = 1;  // A block's x.
  int64_t blocks = 0;         // Over packs and rows of taps.
  int64_t sharing = 0;        // Blocks that share the chunks.
  // A sum in fp64 each of those, tap and channel.
  Bytes PartialBytes() const {
    return sharing * grad.taps * grad.window.out_channels * Bytes{sizeof(double)};
  }
};
DepthwiseGradCut CutDepthwiseGrad(const Window& window, const DepthwiseLine& line);

// Of the weight gradient; and of the others, whose weights are kept in fp32.
Bytes DepthwiseGradBytes(const Window& window, DType dtype);
Bytes DepthwiseWeightBytes(const Window& window);

}  // namespace wsi::cuda
