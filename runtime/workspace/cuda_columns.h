// How CUDA kernels over [batch, rows, columns], columns next to each other in memory, are cut
// into blocks, and what their partial sums take.
#pragma once

#include <algorithm>
#include <cstdint>

#include "runtime/base/checked.h"

namespace wsi::cuda {

inline constexpr int kThreads = 256;  // Of most kernels' blocks.

struct ColumnShape {
  int64_t batch = 1;
  int64_t rows = 1;
  int64_t columns = 1;
  constexpr int64_t At(int64_t n, int64_t row, int64_t column) const {
    return (n * rows + row) * columns + column;
  }
};

// Elements of one 16-byte access, or 1 where `columns` is no multiple of them.
constexpr int PackWidth(Bytes element, int64_t columns) {
  const int64_t wide = 16 / element;
  return columns % wide == 0 ? static_cast<int>(wide) : 1;
}

// Threads of a block: x over packs of columns, y over rows. Blocks: pack_blocks over columns,
// chunks over rows.
struct ColumnCut {
  unsigned x = 1;
  unsigned y = 1;
  int64_t pack_blocks = 0;
  int64_t chunk_rows = 1;
  int64_t chunks = 0;
};
inline constexpr int64_t kMostRows = 512;  // Of a thread.
inline constexpr int64_t kLeastRows = 8;
inline constexpr int64_t kColumnBlocks = 1024;  // Wanted.

// `width`: columns of a pack.
inline ColumnCut CutColumns(const ColumnShape& shape, int width) {
  ColumnCut cut;
  const int64_t packs = CeilDiv(shape.columns, width);
  while (cut.x < 32 && cut.x < packs) cut.x *= 2;
  cut.y = kThreads / cut.x;
  cut.pack_blocks = CeilDiv(packs, cut.x);
  const int64_t planes = std::max<int64_t>(cut.pack_blocks * shape.batch, 1);
  const int64_t wanted =
      CeilDiv(shape.rows, int64_t{cut.y} * std::max<int64_t>(1, kColumnBlocks / planes));
  cut.chunk_rows = int64_t{cut.y} * std::clamp(wanted, kLeastRows, kMostRows);
  cut.chunks = CeilDiv(shape.rows, cut.chunk_rows);
  return cut;
}

// How the rows of sums are cut. Blocks take slabs of rows side by side, from the last rows to
// the first: what was written last lies in the cache still, and whoever reads the same next
// from its first rows on finds those.
//
//   rows     ... | slab 4 | slab 3 | slab 2 | slab 1 | slab 0 |    3 chunks a sweep, 2 slabs each:
//   chunk        |   1    |   0    |   2    |   1    |   0    |    a block adds slabs 0 and 3
struct RowSweeps {
  int64_t slab_rows = 1;
  int64_t slabs = 0;
  int64_t chunks = 1;      // Of a sweep: blocks beside each other.
  int64_t slabs_each = 1;  // Of a chunk, at most.
  int64_t sweeps = 0;

  constexpr int64_t all_chunks() const { return sweeps * chunks; }
};

// As many blocks of sums as an H100 runs at a time: more would be a second wave of few.
inline constexpr int kSumBlocksEach = 2;  // Of its 132 processors.
inline constexpr int64_t kSumBlocks = 132 * kSumBlocksEach;

// `rows` of columns whose packs take `column_blocks` blocks; y rows a block at a time.
inline RowSweeps SweepsOf(int64_t rows, unsigned y, int64_t column_blocks) {
  constexpr int64_t kSteps = 8;  // Of a slab; a multiple of kRowsAhead.
  RowSweeps cut;
  cut.slab_rows = y * kSteps;
  cut.slabs = CeilDiv(rows, cut.slab_rows);
  const int64_t wanted = std::max<int64_t>(1, kSumBlocks / std::max<int64_t>(column_blocks, 1));
  cut.chunks = std::clamp<int64_t>(cut.slabs, 1, wanted);
  cut.slabs_each = kMostRows / kSteps;
  cut.sweeps = CeilDiv(cut.slabs, cut.chunks * cut.slabs_each);
  return cut;
}
// `width`: columns of a pack.
inline RowSweeps SweepsOf(const ColumnShape& shape, int width) {
  const ColumnCut columns = CutColumns(shape, width);
  return SweepsOf(shape.rows, columns.y,
                  columns.pack_blocks * std::clamp<int64_t>(shape.batch, 1, 65535));
}

// Partial sums of `terms` terms: [batch, sweep, chunk, term, column] in fp64.
inline Bytes ColumnSumsBytes(const ColumnShape& shape, int width, int terms) {
  return shape.batch * SweepsOf(shape, width).all_chunks() * terms * shape.columns *
         Bytes{sizeof(double)};
}

// A few numbers summed over many items: blocks of the first kernel, whose sums are fp64.
inline constexpr int64_t kMostTotalBlocks = 1024;
constexpr int64_t TotalBlocks(int64_t items) {
  return std::clamp<int64_t>(CeilDiv(CeilDiv(items, 8), kThreads), 1, kMostTotalBlocks);
}
constexpr Bytes TotalsBytes(int terms, int64_t items) {
  return terms * TotalBlocks(items) * Bytes{sizeof(double)};
}

// What group normalization and its gradient keep: partial sums of 2 terms, then the sums of
// each image and channel, then two fp32 a group.
struct GroupNormLayout {
  Bytes totals = 0;
  Bytes groups = 0;
  Bytes end = 0;
};
inline GroupNormLayout LayOutGroupNorm(const ColumnShape& shape, int width, int64_t groups) {
  GroupNormLayout layout;
  layout.totals = AlignUp(ColumnSumsBytes(shape, width, 2), 256);
  layout.groups =
      AlignUp(layout.totals + shape.batch * 2 * shape.columns * Bytes{sizeof(double)}, 256);
  layout.end = layout.groups + shape.batch * groups * 2 * Bytes{sizeof(float)};
  return layout;
}

// Largest values over all positions: each part's, [batch, part, column].
inline constexpr int64_t kMaximaPartRows = 4096;
inline constexpr Bytes kMaximumBytes = 16;  // A value and where it is.
constexpr int64_t MaximaParts(const ColumnShape& shape) {
  return CeilDiv(shape.rows, kMaximaPartRows);
}
constexpr Bytes GlobalMaximaBytes(const ColumnShape& shape) {
  return shape.batch * MaximaParts(shape) * shape.columns * kMaximumBytes;
}

}  // namespace wsi::cuda
