// How blocks load the operands of a weight gradient: dy, [positions, output channels], and
// x gathered as [positions, taps x input channels], a stage of kDepth positions at a time.
#pragma once

#include "runtime/backends/cuda/device.cuh"
#include "runtime/backends/cuda/tensor_core.cuh"

namespace wsi::cuda {

inline constexpr int kDepth = 32;
inline constexpr int kPanelElements = kDepth * kPanelColumns;

struct WeightGradGeometry {
  int64_t positions;  // Of all images' outputs.
  int64_t chunk;      // Of a block, a multiple of kDepth.
  int rows;           // Of the result: output channels.
  int columns;        // Taps times input channels.
  int channels;       // Of the input.
  int row_tiles;
  int in[3], out[3], kernel[3], stride[3], dilation[3], pad[3];
  int step[4];  // kDepth positions further: in images, and along the axes.
};

// How x is gathered.
enum class Gather {
  kPoint,   // A position's output reads its own input: packs of 8 channels.
  kPlane,   // Two axes, below 2^31 inputs: packs of 8 channels.
  kNarrow,  // Two axes, at most 4 channels: packs of 4.
  kAny,     // Element by element; dy too.
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

// A matrix [positions, width] as it lies.
template <int kColumns, bool kWide>
struct PlainSide {
  using Loads = LoadShape<kColumns>;
  const uint16_t* from;
  int64_t position, end;
  int width, column;

  __device__ PlainSide(const uint16_t* matrix, int matrix_width, int first, int64_t begin,
                       int64_t stop)
      : from(matrix + (begin + Loads::Row(0)) * matrix_width + first + Loads::Column()),
        position(begin + Loads::Row(0)),
        end(stop),
        width(matrix_width),
        column(first + Loads::Column()) {}

  __device__ void Load(uint16_t* stage) {
#pragma unroll
    for (int load = 0; load < Loads::kLoads; ++load) {
      const bool inside = position + load * Loads::kStep < end && column < width;
      const uint16_t* at = from + static_cast<int64_t>(load * Loads::kStep) * width;
      if constexpr (kWide) {
        CopyAsync<false>(stage + Loads::At(load), at, inside);
      } else {
        HalfPack pack;
#pragma unroll
        for (int e = 0; e < kPackElements; ++e) {
          pack.v[e] = inside && column + e < width ? at[e] : uint16_t{0};
        }
        *reinterpret_cast<HalfPack*>(stage + Loads::At(load)) = pack;
      }
    }
    from += static_cast<int64_t>(kDepth) * width;
    position += kDepth;
  }
};

// A position's image and place in the output.
struct Cursor {
  int at[4];
  __device__ void Set(const WeightGradGeometry& g, int64_t position) {
#pragma unroll
    for (int a = 2; a >= 0; --a) {
      at[a + 1] = static_cast<int>(position % g.out[a]);
      position /= g.out[a];
    }
    at[0] = static_cast<int>(position);
  }
  // kDepth positions further. kFirst: the first axis that is more than one position.
  template <int kFirst>
  __device__ void Advance(const WeightGradGeometry& g) {
    int carry = 0;
#pragma unroll
    for (int a = 2; a >= kFirst; --a) {
      at[a + 1] += g.step[a + 1] + carry;
      carry = at[a + 1] >= g.out[a] ? 1 : 0;
      if (carry != 0) at[a + 1] -= g.out[a];
    }
    at[0] += g.step[0] + carry;
  }
};

// What a column of the gathered matrix reads: where its tap is from a window's first
// input, and the channel.
struct Column {
  int tap[3];
  int channel;  // -1 behind the last column.
  __device__ static Column Of(const WeightGradGeometry& g, int tap, int channel) {
    Column c{{0, 0, 0}, tap < g.columns / g.channels ? channel : -1};
#pragma unroll
    for (int a = 2; a >= 0; --a) {
      c.tap[a] = tap % g.kernel[a] * g.dilation[a] - g.pad[a];
      tap /= g.kernel[a];
    }
    return c;
  }
  // The element of x that it reads for a position, or -1. I: what counts input positions.
  template <int kFirst, typename I>
  __device__ int64_t At(const WeightGradGeometry& g, const Cursor& cursor) const {
    I row = cursor.at[0];
    bool inside = channel >= 0;
#pragma unroll
    for (int a = kFirst; a < 3; ++a) {
      const int i = cursor.at[a + 1] * g.stride[a] + tap[a];
      inside = inside && i >= 0 && i < g.in[a];
      row = row * g.in[a] + i;
    }
    return inside ? static_cast<int64_t>(row) * g.channels + channel : -1;
  }
};

// x, gathered.
template <int kColumns, Gather kGather>
struct GatheredSide {
  static constexpr int kElements = kGather == Gather::kNarrow ? 4 : kPackElements;
  using Loads = LoadShape<kColumns, kElements>;
  const WeightGradGeometry& g;
  const uint16_t* x;
  int first;
  int64_t position, end;
  Column column;
  Cursor cursors[Loads::kLoads];

  __device__ GatheredSide(const WeightGradGeometry& geometry, const uint16_t* from,
                          int first_column, int64_t begin, int64_t stop)
      : g(geometry), x(from), first(first_column + Loads::Column()), position(begin), end(stop) {
    if constexpr (kGather == Gather::kNarrow) {
      column = Column::Of(g, first / kElements, 0);
    } else {
      column = Column::Of(g, first / g.channels, first % g.channels);
    }
#pragma unroll
    for (int load = 0; load < Loads::kLoads; ++load) {
      cursors[load].Set(g, begin + Loads::Row(load));
    }
  }

  __device__ void Load(uint16_t* stage) {
#pragma unroll
    for (int load = 0; load < Loads::kLoads; ++load) {
      uint16_t* to = stage + Loads::At(load);
      const bool inside = position + Loads::Row(load) < end;
      if constexpr (kGather == Gather::kPlane) {
        const int64_t at = column.At<1, int>(g, cursors[load]);
        CopyAsync<true>(to, x + (at < 0 ? 0 : at), inside && at >= 0);
        cursors[load].template Advance<1>(g);
      } else {
        Pack<uint16_t, kElements> pack;
        Gathered(cursors[load], inside, pack);
        *reinterpret_cast<Pack<uint16_t, kElements>*>(to) = pack;
        cursors[load].template Advance<kGather == Gather::kNarrow ? 1 : 0>(g);
      }
    }
    position += kDepth;
  }

 private:
  __device__ void Gathered(const Cursor& cursor, bool inside,
                           Pack<uint16_t, kElements>& pack) const {
    if constexpr (kGather == Gather::kNarrow) {
      const int64_t at = column.At<1, int64_t>(g, cursor);
#pragma unroll
      for (int e = 0; e < kElements; ++e) {
        pack.v[e] = inside && at >= 0 && e < g.channels ? x[at + e] : uint16_t{0};
      }
    } else {
#pragma unroll
      for (int e = 0; e < kElements; ++e) {
        const Column own = Column::Of(g, (first + e) / g.channels, (first + e) % g.channels);
        const int64_t at = own.At<0, int64_t>(g, cursor);
        pack.v[e] = inside && at >= 0 ? x[at] : uint16_t{0};
      }
    }
  }
};

}  // namespace wsi::cuda
