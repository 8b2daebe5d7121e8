// A block's part of a weight gradient, on Hopper's tensor cores. Their fp32 truncates each
// product two bits behind the last of the sum so far, and the sum: of what is not negative,
// fp16 loses 5e-9 a position. After kSegment positions sums are rounded into the block's part
// of the workspace, and so lose 4.3e-5 however many there are.
#pragma once

#include "runtime/backends/cuda/weight_grad_sides.cuh"

namespace wsi::cuda {

inline constexpr int64_t kSegment = 8192;

// A block's tile of dw, of panels of 64 rows and of 64 columns, by two warpgroups beside or
// below each other. kStages: the loads under way and being multiplied.
template <int kRowPanels, int kColumnPanels, int kGroupRows, int kStagesOf>
struct Tile {
  static constexpr int kRows = kRowPanels * kPanelColumns;
  static constexpr int kColumns = kColumnPanels * kPanelColumns;
  static constexpr int kStages = kStagesOf;
  // Of one warpgroup.
  static constexpr int kGroupPanels = kRowPanels / kGroupRows;
  static constexpr int kGroupColumns = kColumns * kGroupRows / 2;
  static constexpr int kStageElements = (kRowPanels + kColumnPanels) * kPanelElements;
  static constexpr int kBytes = kStages * kStageElements * 2 + StartsRing::kBytes;
  static constexpr int kBlocks = 2 * kBytes <= 220 << 10 && kGroupPanels * kGroupColumns <= 128
                                     ? 2
                                     : 1;  // On a multiprocessor.

  __device__ static int FirstPanel() { return Group() / (2 / kGroupRows) * kGroupPanels; }
  __device__ static int FirstColumn() { return Group() % (2 / kGroupRows) * kGroupColumns; }
  using Sums = float[kGroupPanels][kGroupColumns / 8][4];

 private:
  __device__ static int Group() { return static_cast<int>(threadIdx.x) / 128; }
};

template <typename T, typename Tile>
__device__ void MultiplyStage(const uint16_t* stage, typename Tile::Sums& sums) {
  constexpr unsigned kPanelBytes = kPanelElements * 2;
  const uint16_t* rows = stage + Tile::FirstPanel() * kPanelElements;
  const uint16_t* columns = stage + Tile::kRows / kPanelColumns * kPanelElements +
                            Tile::FirstColumn() / kPanelColumns * kPanelElements;
#pragma unroll
  for (int k = 0; k < kDepth; k += 16) {
#pragma unroll
    for (int p = 0; p < Tile::kGroupPanels; ++p) {
      MultiplyPanels<T, Tile::kGroupColumns>(rows + p * kPanelElements + k * kPanelColumns,
                                             columns + k * kPanelColumns, kPanelBytes, sums[p]);
    }
  }
}

// The tile that a block computes.
struct TilePlace {
  int bundle;
  int row, column;     // The first, of the bundle's.
  int rows, channels;  // How many the bundle has.

  template <typename Tile>
  __device__ static TilePlace Of(const WeightGradGeometry& g) {
    TilePlace at;
    at.bundle = static_cast<int>(blockIdx.x) / g.tiles;
    const int tile = static_cast<int>(blockIdx.x) % g.tiles;
    at.row = tile % g.row_tiles * Tile::kRows;
    at.column = tile / g.row_tiles * Tile::kColumns;
    at.rows = min(g.rows, g.all_rows - at.bundle * g.rows);
    at.channels = min(g.channels, g.all_channels - at.bundle * g.channels);
    return at;
  }
};

// The row and column of sums[0][0][0], of the bundle's.
template <typename Tile>
__device__ int SumRow(const TilePlace& at) {
  const int thread = static_cast<int>(threadIdx.x);
  return at.row + Tile::FirstPanel() * kPanelColumns + thread / 32 % 4 * 16 + thread % 32 / 4;
}
template <typename Tile>
__device__ int SumColumn(const TilePlace& at) {
  return at.column + Tile::FirstColumn() + static_cast<int>(threadIdx.x) % 4 * 2;
}

__device__ inline void StoreSum(float sum, bool add, float* to) { *to = add ? *to + sum : sum; }

// Writes the sums to `part`, [rows, columns], or adds them.
template <typename Tile, bool kNarrow>
__device__ void StoreSums(const WeightGradGeometry& g, const TilePlace& at, bool add, float* part,
                          const typename Tile::Sums& sums) {
  const int row0 = SumRow<Tile>(at);
  const int column0 = SumColumn<Tile>(at);
#pragma unroll
  for (int p = 0; p < Tile::kGroupPanels; ++p) {
#pragma unroll
    for (int j = 0; j < Tile::kGroupColumns / 8; ++j) {
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        const int row = row0 + p * kPanelColumns + e / 2 * 8;
        int column = column0 + j * 8 + e % 2;
        bool inside = row < g.rows;
        if constexpr (kNarrow) {  // Four columns a tap.
          inside = inside && column % 4 < g.channels;
          column = column / 4 * g.channels + column % 4;
        }
        if (inside && column < g.columns) {
          StoreSum(sums[p][j][e], add, part + static_cast<int64_t>(row) * g.columns + column);
        }
      }
    }
  }
}

// Of a bundle of groups only rows and columns of the same group: part is [rows, taps,
// channels of a group].
template <typename Tile>
__device__ void StoreGroups(const WeightGradGeometry& g, const TilePlace& at, bool add, float* part,
                            const typename Tile::Sums& sums) {
  const int row0 = SumRow<Tile>(at);
  const int column0 = SumColumn<Tile>(at);
  const int row_elements = g.columns / g.channels * g.group_channels;
#pragma unroll
  for (int j = 0; j < Tile::kGroupColumns / 8; ++j) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int column = column0 + j * 8 + half;
      const int channel = column % g.channels;
      const int group = channel / g.group_channels;
      const int place = column / g.channels * g.group_channels + channel % g.group_channels;
#pragma unroll
      for (int p = 0; p < Tile::kGroupPanels; ++p) {
#pragma unroll
        for (int e = half; e < 4; e += 2) {
          const int row = row0 + p * kPanelColumns + e / 2 * 8;
          if (row >= at.rows || column >= g.columns || row / g.group_rows != group) continue;
          StoreSum(sums[p][j][e], add, part + static_cast<int64_t>(row) * row_elements + place);
        }
      }
    }
  }
}

// A block's operands: loads a stage after the other.
template <typename Tile, Gather kGather>
class Operands {
 public:
  __device__ Operands(const WeightGradGeometry& g, const TilePlace& at, const uint16_t* x,
                      const uint16_t* dy)
      : g_(g),
        begin_(blockIdx.y * g.chunk),
        end_(min(g.positions, begin_ + g.chunk)),
        stages_(DynamicShared()),
        ring_(stages_ + kStages * Tile::kStageElements),
        rows_(dy + int64_t{at.bundle} * g.rows, g.all_rows, at.rows, at.row, begin_, end_),
        columns_(MakeColumns(x + int64_t{at.bundle} * g.channels, at)) {}

  __device__ int64_t steps() const { return (end_ - begin_ + kDepth - 1) / kDepth; }
  __device__ const uint16_t* stage(int64_t step) const {
    return stages_ + step % kStages * Tile::kStageElements;
  }

  // All threads call it.
  __device__ void Start() {
    if constexpr (kGather != Gather::kPoint) {
      ring_.Make(g_, begin_, end_, 0);
      ring_.Make(g_, begin_, end_, 1);
      __syncthreads();
      columns_.Start(ring_);
    }
  }
  // All threads call it, for one step after the other, with a barrier between.
  __device__ void Load(int64_t step) {
    uint16_t* at = stages_ + step % kStages * Tile::kStageElements;
    rows_.Load(at);
    at += Tile::kRows / kPanelColumns * kPanelElements;
    if constexpr (kGather == Gather::kPoint) {
      columns_.Load(at);
    } else {
      columns_.Load(at, ring_, step);
      constexpr int64_t kBatch = StartsRing::kBatch;
      if (step >= kBatch && step % kBatch == kBatch / 2) {
        ring_.Make(g_, begin_, end_, step / kBatch + 1);
      }
    }
  }

 private:
  static constexpr int kStages = Tile::kStages;
  using Columns = std::conditional_t<kGather == Gather::kPoint, PlainSide<Tile::kColumns, true>,
                                     GatheredSide<Tile::kColumns, kGather>>;
  __device__ Columns MakeColumns(const uint16_t* x, const TilePlace& at) const {
    if constexpr (kGather == Gather::kPoint) {
      return Columns(x, g_.all_channels, at.channels, at.column, begin_, end_);
    } else {
      return Columns(g_, x, at.channels, at.column);
    }
  }

  const WeightGradGeometry& g_;
  int64_t begin_, end_;
  uint16_t* stages_;
  StartsRing ring_;
  PlainSide<Tile::kRows, kGather != Gather::kAny> rows_;
  Columns columns_;
};

// Grid: tiles of all bundles, chunks. parts: [chunks] gradients. kGroups: bundles have
// several groups each.
template <typename T, typename Tile, Gather kGather, bool kGroups>
__global__ void __launch_bounds__(kThreads, Tile::kBlocks)
    WeightGradKernel(const WeightGradGeometry g, const uint16_t* x, const uint16_t* dy,
                     float* parts) {
  constexpr int kStages = Tile::kStages;
  constexpr int kAhead = kStages - 2;  // Steps from a stage's load to its products.
  const auto place = TilePlace::Of<Tile>(g);
  Operands<Tile, kGather> operands(g, place, x, dy);
  operands.Start();
  const int64_t steps = operands.steps();
  for (int64_t step = 0; step < kAhead; ++step) {
    if (step < steps) operands.Load(step);
    EndCopies();
  }
  const int row_elements = g.columns / g.channels * g.group_channels;
  float* part = parts + blockIdx.y * g.elements + int64_t{place.bundle} * g.rows * row_elements;
  constexpr int64_t kSteps = kSegment / kDepth;
  for (int64_t segment = 0; segment < steps; segment += kSteps) {
    typename Tile::Sums sums = {};
    const int64_t segment_end = min(steps, segment + kSteps);
    for (int64_t step = segment; step < segment_end; ++step) {
      WaitForCopies<kAhead - 1>();
      ShowToProducts();
      // All threads' copies of this stage are there, and the products of the step before
      // the last, whose stage is loaded next, are done.
      __syncthreads();
      BeginProducts();
      MultiplyStage<T, Tile>(operands.stage(step), sums);
      EndProducts();
      if (step + kAhead < steps) operands.Load(step + kAhead);
      EndCopies();
      WaitForProducts<1>();
    }
    WaitForProducts<0>();
    if constexpr (kGroups) {
      StoreGroups<Tile>(g, place, segment > 0, part, sums);
    } else {
      StoreSums<Tile, kGather == Gather::kNarrow>(g, place, segment > 0, part, sums);
    }
  }
}

}  // namespace wsi::cuda
