// Weight gradients of depthwise convolutions, channels last, in fp32: for each tap and
// channel the sum over all positions of x times dy.
//
// A thread sums one row of taps (KW of them, or one of any window) for a pack of channels
// over at most kMostRows positions in fp32; a block adds its threads in fp64, chunk after
// chunk, to a sum of its own, and a second kernel adds the blocks' sums in order.
//
//     block: x over packs; y over rows of taps and, for each, over parts of the chunk
//     chunk: part_rows x row_parts output rows by kPartColumns x column_parts columns
#include "runtime/backends/cuda/column_sums.cuh"
#include "runtime/backends/cuda/depthwise.h"

namespace wsi::cuda {
namespace {

constexpr int kColumns = 4;               // Taken at a time.
constexpr int64_t kPartColumns = 32;      // Of a thread's part of a chunk,
constexpr int64_t kMostPartRows = 16;     // and its rows: 512 positions.
constexpr int64_t kMostBlocks = 2 * 264;  // Two for each multiprocessor, twice.
constexpr unsigned kMostRowsOfTaps = 9;   // Of a block.

struct WeightGrad {
  Window window;
  int64_t members = 1;       // Output channels of an input channel.
  int64_t rows = 1;          // Output rows of all planes and images.
  int64_t rows_of_taps = 1;  // Of KW taps each.
  int64_t taps = 1;
  int64_t part_rows = 1;
  int64_t chunks = 1;  // Chunks by rows times chunks by columns.
  int64_t column_chunks = 1;
  unsigned row_parts = 1;
  unsigned column_parts = 1;
  unsigned tap_threads = 1;  // Rows of taps of a block.
  unsigned pack_blocks = 1;
};

// A line of x and the line of dy that it is multiplied with, both at a pack of channels.
template <typename T>
struct Lines {
  const T* x;
  const T* dy;
  int64_t shift;  // Output column o reads input column o * stride + shift at the first tap.
};

// Column `column` of `columns`, 0 beyond the ends.
template <typename T, int W>
__device__ void LoadColumn(const T* line, int64_t column, int64_t columns, int64_t channels,
                           float (&v)[W]) {
#pragma unroll
  for (int i = 0; i < W; ++i) v[i] = 0;
  if (column >= 0 && column < columns) LoadPack<T, W>(line + column * channels, v);
}

// KW taps at neighbours, windows SW apart; SW = 0: one tap of any window.
template <typename T, int W, int KW, int SW>
__device__ void AddLines(const Window& w, const Lines<T>& lines, int64_t begin, int64_t end,
                         float (&sums)[KW][W]) {
  const int64_t stride = SW == 0 ? w.stride[2] : SW;
  for (int64_t o = begin; o < end; o += kColumns) {
    float dy[kColumns][W];
#pragma unroll
    for (int c = 0; c < kColumns; ++c) {
      LoadColumn<T, W>(lines.dy, o + c, end, w.out_channels, dy[c]);
    }
    const int64_t first = o * stride + lines.shift;
    constexpr int kStep = SW == 0 ? 1 : SW;
#pragma unroll
    for (int j = 0; j < (kColumns - 1) * kStep + KW; ++j) {
      float x[W];
      const int64_t column = first + (SW == 0 ? j * stride : j);
      LoadColumn<T, W>(lines.x, column, w.in[2], w.in_channels, x);
#pragma unroll
      for (int k = 0; k < KW; ++k) {
        const int c = (j - k) / kStep;
        if (j < k || (j - k) % kStep != 0 || c >= kColumns) continue;
#pragma unroll
        for (int i = 0; i < W; ++i) sums[k][i] += x[i] * dy[c][i];
      }
    }
  }
}

// The part of a chunk that is one thread's: rows and columns of the output.
struct Part {
  int64_t row, row_end, column, column_end;
};
__device__ inline Part PartOf(const WeightGrad& g, int64_t chunk, unsigned part) {
  Part p;
  p.row = (chunk / g.column_chunks * g.row_parts + part / g.column_parts) * g.part_rows;
  p.row_end = min(p.row + g.part_rows, g.rows);
  p.column = (chunk % g.column_chunks * g.column_parts + part % g.column_parts) * kPartColumns;
  p.column_end = min(p.column + kPartColumns, g.window.out[2]);
  return p;
}

template <typename T, int W, int KW, int SW>
__device__ void AddPart(const WeightGrad& g, const Part& part, int64_t row_of_taps, int64_t channel,
                        const T* x, const T* dy, float (&sums)[KW][W]) {
  const Window& w = g.window;
  const int64_t column_taps = SW == 0 ? w.kernel[2] : 1;
  const int64_t k1 = row_of_taps / column_taps % w.kernel[1];
  const int64_t k0 = row_of_taps / column_taps / w.kernel[1];
  Lines<T> lines;
  lines.shift = row_of_taps % column_taps * w.dilation[2] - w.pad_begin[2];
  for (int64_t row = part.row; row < part.row_end; ++row) {
    const int64_t image_plane = row / w.out[1];
    const int64_t in_row = row % w.out[1] * w.stride[1] + k1 * w.dilation[1] - w.pad_begin[1];
    const int64_t plane =
        image_plane % w.out[0] * w.stride[0] + k0 * w.dilation[0] - w.pad_begin[0];
    if (in_row < 0 || in_row >= w.in[1] || plane < 0 || plane >= w.in[0]) continue;
    const int64_t line = (image_plane / w.out[0] * w.in[0] + plane) * w.in[1] + in_row;
    lines.x = x + line * w.in[2] * w.in_channels + channel / g.members;
    lines.dy = dy + row * w.out[2] * w.out_channels + channel;
    AddLines<T, W, KW, SW>(w, lines, part.column, part.column_end, sums);
  }
}

// partial: [blockIdx.y][taps][channels]
template <typename T, int W, int KW, int SW>
__global__ void __launch_bounds__(kThreads, 2)
    PartialWeightGrad(WeightGrad g, const T* __restrict__ x, const T* __restrict__ dy,
                      double* __restrict__ partial) {
  __shared__ float shared[W][kThreads];
  const int64_t channels = g.window.out_channels;
  const int64_t channel = (int64_t{blockIdx.x % g.pack_blocks} * blockDim.x + threadIdx.x) * W;
  const int64_t row_of_taps =
      int64_t{blockIdx.x / g.pack_blocks} * g.tap_threads + threadIdx.y % g.tap_threads;
  const unsigned part = threadIdx.y / g.tap_threads;
  const unsigned parts = blockDim.y / g.tap_threads;
  const unsigned lane = threadIdx.y * blockDim.x + threadIdx.x;
  const bool inside = channel < channels && row_of_taps < g.rows_of_taps;
  for (int64_t chunk = blockIdx.y; chunk < g.chunks; chunk += gridDim.y) {
    float sums[KW][W] = {};
    if (inside) {
      AddPart<T, W, KW, SW>(g, PartOf(g, chunk, part), row_of_taps, channel, x, dy, sums);
    }
#pragma unroll
    for (int k = 0; k < KW; ++k) {
      __syncthreads();
#pragma unroll
      for (int i = 0; i < W; ++i) shared[i][lane] = sums[k][i];
      __syncthreads();
      // Part p of a row of taps adds up channels p, p + parts, ...
      const unsigned base = threadIdx.y % g.tap_threads * blockDim.x + threadIdx.x;
      for (unsigned i = part; inside && i < W; i += parts) {
        double total = 0;
        for (unsigned p = 0; p < parts; ++p) {
          total += static_cast<double>(shared[i][base + p * g.tap_threads * blockDim.x]);
        }
        double* to =
            partial + (blockIdx.y * g.taps + row_of_taps * KW + k) * channels + channel + i;
        *to = chunk == blockIdx.y ? total : *to + total;
      }
    }
  }
}

// Column taps x channels of the sums into dw [channels, taps].
struct StoreWeightGrad {
  int64_t taps;
  int64_t channels;
  float* dw;
  __device__ void operator()(int64_t, int64_t at, const double (&sums)[1]) const {
    dw[at % channels * taps + at / channels] = static_cast<float>(sums[0]);
  }
};

struct Launches {
  WeightGrad grad;
  dim3 block;
  dim3 grid;  // y: blocks that share the chunks.
  Bytes PartialBytes() const {
    return int64_t{grid.y} * grad.taps * grad.window.out_channels * Bytes{sizeof(double)};
  }
};

// Chunks are as large as fp32 sums allow, unless they would be too few for the device.
Launches Spread(const Window& w, int width, int taps_of_row) {
  WeightGrad g;
  g.window = w;
  g.members = w.out_channels / std::max<int64_t>(w.in_channels, 1);
  g.rows = w.batch * w.out[0] * w.out[1];
  g.taps = w.KernelPositions();
  g.rows_of_taps = g.taps / taps_of_row;
  const int64_t packs = w.out_channels / width;
  unsigned x = 1;
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
  const int64_t blocks = g.pack_blocks * CeilDiv(g.rows_of_taps, g.tap_threads);
  g.column_chunks = CeilDiv(w.out[2], g.column_parts * kPartColumns);
  g.part_rows = 2 * kMostPartRows;
  do {
    g.part_rows /= 2;
    g.chunks = CeilDiv(g.rows, g.row_parts * g.part_rows) * g.column_chunks;
  } while (g.part_rows > 1 && g.chunks * blocks < kMostBlocks);
  const int64_t sharing = std::min(g.chunks, CeilDiv(kMostBlocks, std::max<int64_t>(blocks, 1)));
  return {g, dim3(x, g.tap_threads * g.row_parts * g.column_parts),
          dim3(static_cast<unsigned>(blocks), static_cast<unsigned>(sharing))};
}

template <typename T, int W, int KW, int SW>
KernelResult CompileWindow(const Window& w, Context& context) {
  const Launches l = Spread(w, W, KW);
  WSI_RETURN_IF_ERROR(context.scratch.Require(l.PartialBytes()));
  return MakeKernel([=, &context](const LaunchArguments& a) -> Status {
    auto* partial = context.scratch.at<double>(0);
    const ColumnShape sums = {.columns = l.grad.taps * w.out_channels};
    if (sums.columns == 0) return {};
    if (l.grad.chunks > 0) {
      PartialWeightGrad<T, W, KW, SW>
          <<<l.grid, l.block, 0, context.stream>>>(l.grad, a.input<T>(0), a.input<T>(1), partial);
    }
    const StoreWeightGrad store = {l.grad.taps, w.out_channels, a.output<float>(0)};
    const auto blocks = static_cast<unsigned>(CeilDiv(sums.columns, 32));
    FinishColumnSums<1><<<blocks, dim3(32, kFinishParts), 0, context.stream>>>(
        partial, sums, l.grad.chunks > 0 ? int64_t{l.grid.y} : 0, store);
    return LaunchStatus();
  });
}

template <typename T>
KernelResult CompileOf(const Window& w, Context& context) {
  constexpr int kPack = kWide<T>;
  if (!IsWide<T>(w.in_channels) || w.in_channels != w.out_channels) {
    return CompileWindow<T, 1, 1, 0>(w, context);
  }
  const bool plain = w.dilation[2] == 1;
  if (plain && w.stride[2] == 1) {
    switch (w.kernel[2]) {
      case 3: return CompileWindow<T, kPack, 3, 1>(w, context);
      case 5: return CompileWindow<T, kPack, 5, 1>(w, context);
      case 7: return CompileWindow<T, kPack, 7, 1>(w, context);
      default: break;
    }
  }
  if (plain && w.stride[2] == 2) {
    switch (w.kernel[2]) {
      case 3: return CompileWindow<T, kPack, 3, 2>(w, context);
      case 5: return CompileWindow<T, kPack, 5, 2>(w, context);
      default: break;
    }
  }
  return CompileWindow<T, kPack, 1, 0>(w, context);
}

}  // namespace

KernelResult CompileDepthwiseWeightGrad(const LaunchSpec& launch, const Window& window,
                                        Context& context) {
  return ForStorage(launch, launch.inputs[0].dtype, [&]<typename T>(std::type_identity<T>) {
    return CompileOf<T>(window, context);
  });
}

}  // namespace wsi::cuda
