// How blocks load the operands of a weight gradient: dy, [positions, output channels], and
// x gathered as [positions, taps x input channels], a stage of kDepth positions at a time;
// of both the channels of one bundle of groups.
#pragma once

#include "runtime/backends/cuda/device.cuh"
#include "runtime/backends/cuda/tensor_core.cuh"
#include "runtime/workspace/cuda_weight_grad.h"

namespace wsi::cuda {

inline constexpr int kDepth = kWeightGradDepth;
inline constexpr int kPanelElements = kDepth * kPanelColumns;

struct WeightGradGeometry {
  int64_t positions;  // Of all images' outputs.
  int64_t chunk;      // Of a block, a multiple of kDepth.
  int64_t elements;   // Of the gradient.
  int rows;           // Of a bundle: output channels. The last bundle may have fewer groups.
  int columns;        // Taps times its input channels.
  int channels;       // Its input channels.
  int all_rows, all_channels;      // Of dy and x.
  int group_rows, group_channels;  // Of a group.
  int row_tiles, tiles;            // Of a bundle.
  int in[3], out[3], kernel[3], stride[3], dilation[3], pad[3];
};

// How the threads of a block load [kDepth, kColumns]: each has one pack of columns, of
// kLoads positions kStep apart.
template <int kColumns, int kElements = kPackElements>
struct LoadShape {
  static constexpr int kPacks = kColumns / kElements;
  static constexpr int kStep = kThreads / kPacks;
  static constexpr int kLoads = kDepth / kStep;
  __device__ static int Column() { return static_cast<int>(threadIdx.x) % kPacks * kElements; }
  __device__ static int Row(int load) {
    return static_cast<int>(threadIdx.x) / kPacks + load * kStep;
  }
  // Where a pack is in a stage's panels.
  __device__ static int At(int load) {
    const int column = Column();
    return column / kPanelColumns * kPanelElements +
           PanelAt(Row(load), column % kPanelColumns / kPackElements) + column % kPackElements;
  }
};

using HalfPack = Pack<uint16_t, kPackElements>;

// Columns [0, limit) of a matrix [positions, width] as it lies.
template <int kColumns, bool kWide>
struct PlainSide {
  using Loads = LoadShape<kColumns>;
  const uint16_t* from;
  int64_t position, end;
  int width, limit, column;

  __device__ PlainSide(const uint16_t* matrix, int matrix_width, int columns, int first,
                       int64_t begin, int64_t stop)
      : from(matrix + (begin + Loads::Row(0)) * matrix_width + first + Loads::Column()),
        position(begin + Loads::Row(0)),
        end(stop),
        width(matrix_width),
        limit(columns),
        column(first + Loads::Column()) {}

  __device__ void Load(uint16_t* stage) {
#pragma unroll
    for (int load = 0; load < Loads::kLoads; ++load) {
      const bool inside = position + load * Loads::kStep < end && column < limit;
      const uint16_t* at = from + static_cast<int64_t>(load * Loads::kStep) * width;
      if constexpr (kWide) {
        CopyAsync<false>(stage + Loads::At(load), at, inside);
      } else {
        HalfPack pack;
#pragma unroll
        for (int e = 0; e < kPackElements; ++e) {
          pack.v[e] = inside && column + e < limit ? at[e] : uint16_t{0};
        }
        *reinterpret_cast<HalfPack*>(stage + Loads::At(load)) = pack;
      }
    }
    from += static_cast<int64_t>(kDepth) * width;
    position += kDepth;
  }
};

// Where the window of a position begins in x: one for each row of a stage, shared by the
// threads that load the row's packs.
struct alignas(16) WindowStart {
  int64_t element;  // Of x; may lie in the padding before it.
  int at[2];        // Along the last two axes; behind all taps' reach where there is none.
};
inline constexpr int kBehind = 1 << 30;

__device__ inline WindowStart StartOf(const WeightGradGeometry& g, int64_t position, int64_t end,
                                      int* depth) {
  int at[3];
  int64_t rest = position;
#pragma unroll
  for (int a = 2; a >= 0; --a) {
    at[a] = static_cast<int>(rest % g.out[a]) * g.stride[a] - g.pad[a];
    rest /= g.out[a];
  }
  *depth = at[0];
  const int64_t row = ((rest * g.in[0] + at[0]) * g.in[1] + at[1]) * g.in[2] + at[2];
  return {row * g.all_channels, {position < end ? at[1] : kBehind, at[2]}};
}

// What a column of the gathered matrix reads: how far its tap and channel are from a
// window's start.
struct Column {
  int tap[3];
  int64_t element;
  // `channels`: as many of the bundle's are there.
  __device__ static Column Of(const WeightGradGeometry& g, int channels, int tap, int channel) {
    Column c;
    const bool inside = tap < g.columns / g.channels && channel < channels;
#pragma unroll
    for (int a = 2; a >= 0; --a) {
      c.tap[a] = tap % g.kernel[a] * g.dilation[a];
      tap /= g.kernel[a];
    }
    const int64_t row = (static_cast<int64_t>(c.tap[0]) * g.in[1] + c.tap[1]) * g.in[2] + c.tap[2];
    c.element = row * g.all_channels + channel;
    if (!inside) c.tap[1] = kBehind;
    return c;
  }
  __device__ bool Reads(const WeightGradGeometry& g, const WindowStart& start) const {
    return static_cast<unsigned>(start.at[0]) + static_cast<unsigned>(tap[1]) <
               static_cast<unsigned>(g.in[1]) &&
           static_cast<unsigned>(start.at[1]) + static_cast<unsigned>(tap[2]) <
               static_cast<unsigned>(g.in[2]);
  }
  __device__ bool ReadsDepth(const WeightGradGeometry& g, int depth) const {
    return static_cast<unsigned>(depth) + static_cast<unsigned>(tap[0]) <
           static_cast<unsigned>(g.in[0]);
  }
};

// The starts of steps' rows, made for eight steps at a time by all threads, the next eight
// while these are read.
class StartsRing {
 public:
  static constexpr int kBatch = kThreads / kDepth;
  static constexpr int kBytes = 2 * kThreads * static_cast<int>(sizeof(WindowStart) + sizeof(int));

  __device__ explicit StartsRing(void* shared)
      : starts_(static_cast<WindowStart*>(shared)),
        depths_(reinterpret_cast<int*>(starts_ + 2 * kThreads)) {}

  // Of steps batch * kBatch and on; read behind the next barrier.
  __device__ void Make(const WeightGradGeometry& g, int64_t begin, int64_t end, int64_t batch) {
    const int thread = static_cast<int>(threadIdx.x);
    const auto at = static_cast<int>(batch % 2) * kThreads + thread;
    starts_[at] = StartOf(g, begin + batch * kThreads + thread, end, &depths_[at]);
  }
  __device__ const WindowStart* starts(int64_t step) const { return starts_ + At(step); }
  __device__ const int* depths(int64_t step) const { return depths_ + At(step); }

 private:
  __device__ static int At(int64_t step) { return static_cast<int>(step % (2 * kBatch)) * kDepth; }
  WindowStart* starts_;
  int* depths_;
};

// x, gathered. What is not copied asynchronously is fetched a step before it is stored.
template <int kColumns, Gather kGather>
struct GatheredSide {
  static constexpr int kElements = kGather == Gather::kNarrow ? 4 : kPackElements;
  using Loads = LoadShape<kColumns, kElements>;
  const WeightGradGeometry& g;
  const uint16_t* x;
  int channels;
  int first;
  Column column;
  Pack<uint16_t, kElements> fetched[Loads::kLoads];

  __device__ GatheredSide(const WeightGradGeometry& geometry, const uint16_t* from,
                          int channels_there, int first_column)
      : g(geometry), x(from), channels(channels_there), first(first_column + Loads::Column()) {
    if constexpr (kGather == Gather::kNarrow) {
      column = Column::Of(g, channels, first / kElements, 0);
    } else {
      column = Column::Of(g, channels, first / g.channels, first % g.channels);
    }
  }

  // For the first step.
  __device__ void Start(const StartsRing& ring) {
    if constexpr (kGather != Gather::kPlane) Fetch(ring, 0);
  }
  // The starts of this step and the next are there.
  __device__ void Load(uint16_t* stage, const StartsRing& ring, int64_t step) {
    if constexpr (kGather == Gather::kPlane) {
      WindowStart start[Loads::kLoads];
#pragma unroll
      for (int load = 0; load < Loads::kLoads; ++load) {
        start[load] = ring.starts(step)[Loads::Row(load)];
      }
#pragma unroll
      for (int load = 0; load < Loads::kLoads; ++load) {
        CopyAsync<true>(stage + Loads::At(load), x + start[load].element + column.element,
                        column.Reads(g, start[load]));
      }
    } else {
#pragma unroll
      for (int load = 0; load < Loads::kLoads; ++load) {
        *reinterpret_cast<Pack<uint16_t, kElements>*>(stage + Loads::At(load)) = fetched[load];
      }
      Fetch(ring, step + 1);
    }
  }

 private:
  __device__ void Fetch(const StartsRing& ring, int64_t step) {
#pragma unroll
    for (int load = 0; load < Loads::kLoads; ++load) {
      Elements(ring.starts(step)[Loads::Row(load)], ring.depths(step)[Loads::Row(load)],
               fetched[load]);
    }
  }
  __device__ void Elements(const WindowStart& start, int depth,
                           Pack<uint16_t, kElements>& pack) const {
#pragma unroll
    for (int e = 0; e < kElements; ++e) {
      if constexpr (kGather == Gather::kNarrow) {
        const bool inside = column.Reads(g, start) && e < g.channels;
        pack.v[e] = inside ? x[start.element + column.element + e] : uint16_t{0};
      } else {
        const Column own =
            Column::Of(g, channels, (first + e) / g.channels, (first + e) % g.channels);
        const bool inside = own.Reads(g, start) && own.ReadsDepth(g, depth);
        pack.v[e] = inside ? x[start.element + own.element] : uint16_t{0};
      }
    }
  }
};

}  // namespace wsi::cuda
