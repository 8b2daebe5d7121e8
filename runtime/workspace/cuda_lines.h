// How CUDA kernels that work along one axis, or reduce some, are cut, and what their partial
// results take.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

#include "runtime/backends/rows.h"
#include "runtime/base/dtype.h"
#include "runtime/workspace/cuda_columns.h"

namespace wsi::cuda {

inline ColumnShape ColumnsOf(const Rows& rows) {
  return {.batch = rows.outer_count, .rows = rows.length, .columns = rows.inner_count};
}
constexpr int64_t LinesOf(const Rows& rows) { return rows.outer_count * rows.inner_count; }

// ArgMax, ArgMin. Long lines are cut into chunks, which blocks share; many or short ones get
// a thread each.
inline bool CutsExtremes(const Rows& rows) { return rows.length > 32 && LinesOf(rows) < 32768; }
inline constexpr Bytes kCandidateBytes = 16;  // A value of any type and where it is.
// A candidate a chunk and line, where there are several chunks.
inline Bytes ExtremesBytes(const Rows& rows) {
  if (!CutsExtremes(rows)) return 0;
  const int64_t chunks = CutColumns(ColumnsOf(rows), 1).chunks;
  return chunks > 1 ? LinesOf(rows) * chunks * kCandidateBytes : 0;
}

// CumSum. A tile of kScanRows rows a thread of a block's y.
inline constexpr int kScanRows = 8;
inline bool CutsScan(const Rows& rows) {
  return rows.length > 32 && (rows.inner_count < 32 || LinesOf(rows) < 32768);
}
inline int64_t ScanTiles(const Rows& rows) {
  return CeilDiv(rows.length, int64_t{CutColumns(ColumnsOf(rows), 1).y} * kScanRows);
}
// A sum a tile and line, of fp64 or of the integer's own width.
inline Bytes ScanBytes(const Rows& rows, DType dtype) {
  if (!CutsScan(rows)) return 0;
  const int64_t tiles = ScanTiles(rows);
  const Bytes sum = IsFloat(dtype) ? Bytes{sizeof(double)} : DTypeBytes(dtype);
  return tiles > 1 ? LinesOf(rows) * tiles * sum : 0;
}

// TopK. Lines of many elements are cut into chunks, whose firsts are listed.
struct TopKCut {
  bool is_cut = false;  // Else a thread a line.
  int64_t chunk_length = 0;
  int64_t chunks = 1;
  int64_t listed = 0;  // Of a chunk.
};
inline TopKCut CutTopK(const Rows& rows, int64_t k) {
  constexpr int64_t kManyLines = 4096;
  constexpr int64_t kFewReads = 4096;     // Of a thread that has a line of many.
  constexpr int64_t kLeastChunk = 2048;   // Elements.
  constexpr int64_t kWantedBlocks = 528;  // Four for each multiprocessor.
  TopKCut cut;
  const int64_t lines = LinesOf(rows);
  if (lines * k == 0 || (lines >= kManyLines && rows.length <= kFewReads / k)) return cut;
  const int64_t wanted = std::clamp<int64_t>(kWantedBlocks / lines, 1, kThreads);
  cut.is_cut = true;
  cut.chunk_length = std::max(CeilDiv(rows.length, wanted), kLeastChunk);
  cut.chunks = CeilDiv(rows.length, cut.chunk_length);
  cut.listed = std::min(k, cut.chunk_length);
  return cut;
}
inline Bytes TopKBytes(const Rows& rows, int64_t k) {
  const TopKCut cut = CutTopK(rows, k);
  return cut.chunks > 1 ? LinesOf(rows) * cut.chunks * cut.listed * Bytes{sizeof(int64_t)} : 0;
}

// Reductions: the axes as [batch, rows, columns] whose rows are summed; none where they are
// not such. Axes of size 1 are left out.
inline std::optional<ColumnShape> ReducedColumns(const Shape& x,
                                                 const std::vector<bool>& is_reduced) {
  ColumnShape shape;
  int64_t* const sizes[] = {&shape.columns, &shape.rows, &shape.batch};
  size_t runs = 0;  // Of neighbouring axes that are all kept or all reduced, from the last.
  for (int i = x.rank() - 1; i >= 0; --i) {
    if (x[i] == 0) return std::nullopt;
    if (x[i] == 1) continue;
    const bool is_kept_run = runs % 2 == 1;
    if (is_reduced[static_cast<size_t>(i)] == is_kept_run || runs == 0) ++runs;
    if (runs > 3 || is_reduced[static_cast<size_t>(i)] == (runs % 2 == 1)) return std::nullopt;
    *sizes[runs - 1] *= x[i];
  }
  if (runs < 2) return std::nullopt;
  return shape;
}
// Parts that blocks fold the terms of each result in; 0: a thread folds them all.
inline int64_t FoldParts(int64_t results, int64_t terms) {
  if (terms < 64 || results >= 65536) return 0;
  return std::clamp<int64_t>(terms / 8192, 1,
                             std::max<int64_t>(1, 2048 / std::max<int64_t>(results, 1)));
}
// `element`: of what is folded, a part a result.
inline Bytes FoldBytes(int64_t results, int64_t terms, Bytes element) {
  const int64_t parts = FoldParts(results, terms);
  return parts > 1 ? results * parts * element : 0;
}

// Sums and products are folded in 8 bytes (`wide`), extremes in the type's own or fp32.
inline Bytes FoldElement(DType dtype, bool wide) {
  if (wide) return 8;
  return dtype == DType::kF16 || dtype == DType::kBF16 ? Bytes{sizeof(float)} : DTypeBytes(dtype);
}

// Sums over `axes` at the end of pointwise programs, in parts of the terms.
struct PointwiseSumCut {
  int64_t results = 1;
  int64_t terms = 1;
  int columns = 1;  // Results of a block.
  int64_t parts = 1;
  // Of so many sums.
  Bytes SumBytes(int64_t sums) const { return sums * parts * results * Bytes{sizeof(double)}; }
};
inline PointwiseSumCut CutPointwiseSums(const Shape& domain, const std::vector<int64_t>& axes) {
  PointwiseSumCut cut{.columns = 32};
  for (int i = 0; i < domain.rank(); ++i) {
    const bool summed = std::find(axes.begin(), axes.end(), int64_t{i}) != axes.end();
    (summed ? cut.terms : cut.results) *= domain[i];
    if (summed && i == domain.rank() - 1) cut.columns = 1;
  }
  const int64_t groups = std::max<int64_t>(1, CeilDiv(cut.results, cut.columns));
  const int64_t rows = kThreads / cut.columns;
  cut.parts =
      std::clamp<int64_t>(CeilDiv(cut.terms, rows * 16), 1, std::max<int64_t>(1, 2048 / groups));
  return cut;
}

// Losses of classes: partial sums, then a logarithm a position where there is a softmax.
struct ClassLossLayout {
  Bytes rows = 0;
  Bytes end = 0;
};
constexpr ClassLossLayout LayOutClassLoss(int64_t positions, bool softmax) {
  const Bytes sums = TotalsBytes(2, positions);
  return {sums, sums + (softmax ? positions * Bytes{sizeof(double)} : 0)};
}
// And their gradients: partial sums, then the divisor.
constexpr ClassLossLayout LayOutClassLossGrad(int64_t positions) {
  const Bytes sums = TotalsBytes(1, positions);
  return {sums, sums + Bytes{sizeof(double)}};
}

// Taps by position, of gradients of Gather and Resample: starts, cursors, order.
struct BucketLayout {
  Bytes cursors = 0;
  Bytes order = 0;
  Bytes end = 0;
};
constexpr BucketLayout LayOutBuckets(int64_t positions, int64_t taps) {
  BucketLayout layout;
  layout.cursors = AlignUp((positions + 1) * Bytes{sizeof(int)}, 256);
  layout.order = layout.cursors + AlignUp(positions * Bytes{sizeof(int)}, 256);
  layout.end = layout.order + taps * Bytes{sizeof(int)};
  return layout;
}

// GridSampleGrad: positions are listed in batches, and what each reaches is kept.
inline constexpr int kListedTaps = 1024;
inline constexpr Bytes kReachBytes = 16;
constexpr int64_t SampleBatch(int axes, int taps) {  // Positions; `taps` along each axis.
  int most = 1;
  for (int a = 0; a < axes; ++a) most *= taps;
  return std::min(kThreads, kListedTaps / most);
}
constexpr Bytes ReachesBytes(int64_t images, int64_t positions, int axes, int taps) {
  return images * CeilDiv(positions, SampleBatch(axes, taps)) * kReachBytes;
}

}  // namespace wsi::cuda
