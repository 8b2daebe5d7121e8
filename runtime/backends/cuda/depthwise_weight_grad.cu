// Weight gradients of depthwise convolutions, channels last, in fp32: for each tap and
// channel the sum over all positions of x times dy.
//
// A thread sums one row of taps (KW of them, or one of any window) for a pack of channels
// over at most kMostRows positions in fp32; a block adds its threads in fp64, chunk after
// chunk, to a sum of its own, and a second kernel adds the blocks' sums in order.
#include "runtime/backends/cuda/column_sums.cuh"
#include "runtime/backends/cuda/depthwise.h"
#include "runtime/workspace/cuda_depthwise.h"

namespace wsi::cuda {
namespace {

constexpr int kColumns = 4;  // Taken at a time.

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
__device__ inline Part PartOf(const DepthwiseGrad& g, int64_t chunk, unsigned part) {
  Part p;
  p.row = (chunk / g.column_chunks * g.row_parts + part / g.column_parts) * g.part_rows;
  p.row_end = min(p.row + g.part_rows, g.rows);
  p.column = (chunk % g.column_chunks * g.column_parts + part % g.column_parts) * kPartColumns;
  p.column_end = min(p.column + kPartColumns, g.window.out[2]);
  return p;
}

template <typename T, int W, int KW, int SW>
__device__ void AddPart(const DepthwiseGrad& g, const Part& part, int64_t row_of_taps,
                        int64_t channel, const T* x, const T* dy, float (&sums)[KW][W]) {
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
    PartialWeightGrad(DepthwiseGrad g, const T* __restrict__ x, const T* __restrict__ dy,
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

template <typename T, int W, int KW, int SW>
KernelResult CompileWindow(const LaunchSpec& launch, const Window& w, Context& context) {
  const DepthwiseGradCut cut = CutDepthwiseGrad(w, {.width = W, .taps = KW, .stride = SW});
  WSI_RETURN_IF_ERROR(RequireWorkspace(launch, cut.PartialBytes()));
  const DepthwiseGrad& g = cut.grad;
  const dim3 block(cut.pack_threads, g.tap_threads * g.row_parts * g.column_parts);
  const dim3 grid(static_cast<unsigned>(cut.blocks), static_cast<unsigned>(cut.sharing));
  return MakeKernel([=, grad = g, &context](const LaunchArguments& a) -> Status {
    auto* partial = WorkspaceAt<double>(a);
    const ColumnShape sums = {.columns = grad.taps * w.out_channels};
    if (sums.columns == 0) return {};
    if (grad.chunks > 0) {
      PartialWeightGrad<T, W, KW, SW>
          <<<grid, block, 0, context.stream>>>(grad, a.input<T>(0), a.input<T>(1), partial);
    }
    const StoreWeightGrad store = {grad.taps, w.out_channels, a.output<float>(0)};
    const auto blocks = static_cast<unsigned>(CeilDiv(sums.columns, 32));
    FinishColumnSums<1><<<blocks, dim3(32, kFinishParts), 0, context.stream>>>(
        partial, sums, grad.chunks > 0 ? int64_t{grid.y} : 0, store);
    return LaunchStatus();
  });
}

template <typename T>
KernelResult CompileOf(const LaunchSpec& launch, const Window& w, Context& context) {
  constexpr int kPack = kWide<T>;
  const DepthwiseLine line = DepthwiseLineOf(w, sizeof(T));
  if (line.width == 1) return CompileWindow<T, 1, 1, 0>(launch, w, context);
  if (line.stride == 1 && line.taps == 3) return CompileWindow<T, kPack, 3, 1>(launch, w, context);
  if (line.stride == 1 && line.taps == 5) return CompileWindow<T, kPack, 5, 1>(launch, w, context);
  if (line.stride == 1 && line.taps == 7) return CompileWindow<T, kPack, 7, 1>(launch, w, context);
  if (line.stride == 2 && line.taps == 3) return CompileWindow<T, kPack, 3, 2>(launch, w, context);
  if (line.stride == 2 && line.taps == 5) return CompileWindow<T, kPack, 5, 2>(launch, w, context);
  return CompileWindow<T, kPack, 1, 0>(launch, w, context);
}

}  // namespace

KernelResult CompileDepthwiseWeightGrad(const LaunchSpec& launch, const Window& window,
                                        Context& context) {
  return ForStorage(launch, launch.inputs[0].dtype, [&]<typename T>(std::type_identity<T>) {
    return CompileOf<T>(launch, window, context);
  });
}

}  // namespace wsi::cuda
