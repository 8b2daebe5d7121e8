// Depthwise convolutions and their input gradients, channels last. A thread makes
// kColumns neighbours of a row for one pack of channels: it loads each column of a row
// that it reads once, in a pack, and adds it to all results that want it.
//
//     columns read   | 0 1 2 3 4 5 |          3 taps, stride 1, 4 results
//     result 0         x x x
//     result 1           x x x ...
//
// Weights lie in the workspace as fp32 [taps, channels]; sums are fp32, in the order of rows.
#include "runtime/backends/cuda/depthwise.h"
#include "runtime/backends/cuda/device.cuh"
#include "runtime/workspace/cuda_depthwise.h"

namespace wsi::cuda {
namespace {

constexpr int kColumns = 4;

// "To" is what is computed, y or dx; "from" is what is read.
struct Depthwise {
  int64_t images = 1;
  int64_t to_channels = 1;
  int64_t from_channels = 1;
  int64_t weights = 1;  // Channels of w, which are y's.
  int64_t members = 1;  // Output channels of an input channel.
  Index3 to{1, 1, 1};
  Index3 from{1, 1, 1};
  Index3 kernel{1, 1, 1};
  Index3 stride{1, 1, 1};
  Index3 dilation{1, 1, 1};
  Index3 pad{0, 0, 0};
  int64_t first = 0;  // Where groups of columns begin, so that (first + pad) suits the stride.
  // Of a block: threads over groups of columns; the rest of its y is over rows.
  unsigned group_threads = 1;
  unsigned pack_blocks = 1;
};

// The first result of a group of columns and what it reads.
template <typename T>
struct Reach {
  const T* line;         // Column 0 of the row that is read, at the pack.
  const float* weights;  // Tap 0 of the row of the kernel, at the pack.
  int64_t column;
};

template <int W>
__device__ void AddProduct(const float (&v)[W], const float (&w)[W], float (&sum)[W]) {
#pragma unroll
  for (int i = 0; i < W; ++i) sum[i] += v[i] * w[i];
}

// Column `column` of a line, 0 beyond its ends.
template <typename T, int W>
__device__ void LoadColumn(const Depthwise& d, const T* line, int64_t column, float (&v)[W]) {
#pragma unroll
  for (int i = 0; i < W; ++i) v[i] = 0;
  if (column >= 0 && column < d.from[2]) LoadPack<T, W>(line + column * d.from_channels, v);
}

template <int W, int KW>
__device__ void LoadTaps(const Depthwise& d, const float* weights, float (&taps)[KW][W]) {
#pragma unroll
  for (int k = 0; k < KW; ++k) LoadPack<float, W>(weights + k * d.weights, taps[k]);
}

// y: KW taps at neighbours, windows SW apart. KW = 0: any window.
template <int KW, int SW>
struct Forward {
  static constexpr bool kIsGrad = false;
  // What tap `k` of result `t` reads along an axis, or -1.
  __device__ static int64_t Source(const Depthwise& d, size_t axis, int64_t t, int64_t k) {
    const int64_t s = t * d.stride[axis] + k * d.dilation[axis] - d.pad[axis];
    return s < d.from[axis] ? s : -1;
  }
  template <typename T, int W>
  __device__ static void Add(const Depthwise& d, const Reach<T>& r, float (&sums)[kColumns][W]) {
    float taps[KW][W];
    LoadTaps<W, KW>(d, r.weights, taps);
    const int64_t first = r.column * SW - d.pad[2];
#pragma unroll
    for (int j = 0; j < (kColumns - 1) * SW + KW; ++j) {
      float v[W];
      LoadColumn<T, W>(d, r.line, first + j, v);
#pragma unroll
      for (int k = 0; k < KW; ++k) {
        const int c = (j - k) / SW;
        if (j >= k && (j - k) % SW == 0 && c < kColumns) AddProduct<W>(v, taps[k], sums[c]);
      }
    }
  }
};

// dx: result c of a group reads column base + (c - k) / SW for the taps k that divide.
template <int KW, int SW>
struct Backward {
  static constexpr bool kIsGrad = true;
  __device__ static int64_t Source(const Depthwise& d, size_t axis, int64_t t, int64_t k) {
    const int64_t at = t + d.pad[axis] - k * d.dilation[axis];
    if (d.stride[axis] == 1) return at < d.from[axis] ? at : -1;
    if (at < 0 || at % d.stride[axis] != 0) return -1;
    return at / d.stride[axis] < d.from[axis] ? at / d.stride[axis] : -1;
  }
  template <typename T, int W>
  __device__ static void Add(const Depthwise& d, const Reach<T>& r, float (&sums)[kColumns][W]) {
    float taps[KW][W];
    LoadTaps<W, KW>(d, r.weights, taps);
    const int64_t base = (r.column + d.pad[2]) / SW;  // Divides: see Depthwise::first.
    constexpr int kLow = -((KW - 1) / SW);
#pragma unroll
    for (int j = kLow; j <= (kColumns - 1) / SW; ++j) {
      float v[W];
      LoadColumn<T, W>(d, r.line, base + j, v);
#pragma unroll
      for (int c = 0; c < kColumns; ++c) {
        const int k = c - j * SW;
        if (k >= 0 && k < KW) AddProduct<W>(v, taps[k], sums[c]);
      }
    }
  }
};

// Any window: each result by itself.
template <typename Line>
struct AnyWindow {
  static constexpr bool kIsGrad = Line::kIsGrad;
  __device__ static int64_t Source(const Depthwise& d, size_t axis, int64_t t, int64_t k) {
    return Line::Source(d, axis, t, k);
  }
  template <typename T, int W>
  __device__ static void Add(const Depthwise& d, const Reach<T>& r, float (&sums)[kColumns][W]) {
    for (int64_t k = 0; k < d.kernel[2]; ++k) {
      float tap[W];
      LoadPack<float, W>(r.weights + k * d.weights, tap);
#pragma unroll
      for (int c = 0; c < kColumns; ++c) {
        const int64_t column = Source(d, 2, r.column + c, k);
        if (column < 0) continue;
        float v[W];
        LoadPack<T, W>(r.line + column * d.from_channels, v);
        AddProduct<W>(v, tap, sums[c]);
      }
    }
  }
};

// What all planes and rows of the kernel add to the group of results at `at`.
template <typename T, int W, typename Line>
__device__ void AddRows(const Depthwise& d, int64_t image, const Index3& at, int64_t channel,
                        const T* from, const float* weights, float (&sums)[kColumns][W]) {
  for (int64_t m = 0; m < (Line::kIsGrad ? d.members : 1); ++m) {
    const int64_t read = Line::kIsGrad ? channel * d.members + m : channel / d.members;
    const int64_t weight = Line::kIsGrad ? read : channel;
    for (int64_t k0 = 0; k0 < d.kernel[0]; ++k0) {
      const int64_t plane = Line::Source(d, 0, at[0], k0);
      if (plane < 0) continue;
      for (int64_t k1 = 0; k1 < d.kernel[1]; ++k1) {
        const int64_t row = Line::Source(d, 1, at[1], k1);
        if (row < 0) continue;
        const int64_t line = (image * d.from[0] + plane) * d.from[1] + row;
        const int64_t tap = (k0 * d.kernel[1] + k1) * d.kernel[2];
        const Reach<T> reach = {.line = from + line * d.from[2] * d.from_channels + read,
                                .weights = weights + tap * d.weights + weight,
                                .column = at[2]};
        Line::template Add<T, W>(d, reach, sums);
      }
    }
  }
}

// Blocks: x over packs of channels and groups of columns, y over rows, z over planes of
// all images.
template <typename T, int W, typename Line>
__global__ void __launch_bounds__(kThreads, 2)
    DepthwiseKernel(Depthwise d, const T* __restrict__ from, const float* __restrict__ weights,
                    const T* __restrict__ bias, T* __restrict__ to) {
  const unsigned pack_block = blockIdx.x % d.pack_blocks;
  const unsigned group_block = blockIdx.x / d.pack_blocks;
  const int64_t channel = (int64_t{pack_block} * blockDim.x + threadIdx.x) * W;
  const int64_t group = int64_t{group_block} * d.group_threads + threadIdx.y % d.group_threads;
  const int64_t first = group * kColumns + d.first;
  if (channel >= d.to_channels || first >= d.to[2]) return;
  const unsigned row_threads = blockDim.y / d.group_threads;
  float start[W] = {};
  if (bias != nullptr) LoadPack<T, W>(bias + channel, start);
  for (int64_t plane = blockIdx.z; plane < d.images * d.to[0]; plane += gridDim.z) {
    const int64_t image = plane / d.to[0];
    for (int64_t row = int64_t{blockIdx.y} * row_threads + threadIdx.y / d.group_threads;
         row < d.to[1]; row += int64_t{gridDim.y} * row_threads) {
      float sums[kColumns][W];
#pragma unroll
      for (int c = 0; c < kColumns; ++c) {
#pragma unroll
        for (int i = 0; i < W; ++i) sums[c][i] = start[i];
      }
      AddRows<T, W, Line>(d, image, {plane % d.to[0], row, first}, channel, from, weights, sums);
      T* line = to + (plane * d.to[1] + row) * d.to[2] * d.to_channels + channel;
#pragma unroll
      for (int c = 0; c < kColumns; ++c) {
        const int64_t column = first + c;
        if (column < 0 || column >= d.to[2]) continue;
        StorePack<T, W>(sums[c], line + column * d.to_channels);
      }
    }
  }
}

// w [channels, taps] -> [taps, channels]
template <typename T>
__global__ void WeightsKernel(const T* w, int64_t taps, int64_t channels, float* to) {
  for (int64_t i = FirstItem(); i < taps * channels; i += ItemStride()) {
    to[i] = Load(w[i % channels * taps + i / channels]);
  }
}

Depthwise ProblemOf(const Window& w, bool grad) {
  Depthwise d;
  d.images = w.batch;
  d.to_channels = grad ? w.in_channels : w.out_channels;
  d.from_channels = grad ? w.out_channels : w.in_channels;
  d.weights = w.out_channels;
  d.members = w.out_channels / std::max<int64_t>(w.in_channels, 1);
  d.to = grad ? w.in : w.out;
  d.from = grad ? w.out : w.in;
  d.kernel = w.kernel;
  d.stride = w.stride;
  d.dilation = w.dilation;
  d.pad = w.pad_begin;
  if (grad) d.first = -(d.pad[2] % d.stride[2]);
  return d;
}

struct BlockShape {
  dim3 block;
  dim3 grid;
};

// Chooses the threads of a block so that what it computes is about square.
BlockShape Spread(Depthwise& d, int width) {
  const int64_t packs = d.to_channels / width;
  const int64_t groups = CeilDiv(d.to[2] - d.first, kColumns);
  unsigned x = 1;
  while (x < 32 && x < packs) x *= 2;
  unsigned rows = 1;
  unsigned columns = 1;
  while (x * rows * columns < kThreads) {
    const bool taller = rows < d.to[1] && (rows < columns * kColumns || columns >= groups);
    (taller ? rows : columns) *= 2;
  }
  d.group_threads = columns;
  d.pack_blocks = static_cast<unsigned>(CeilDiv(packs, x));
  const auto most = [](int64_t blocks) {
    return static_cast<unsigned>(std::clamp<int64_t>(blocks, 1, 65535));
  };
  return {dim3(x, rows * columns),
          dim3(d.pack_blocks * static_cast<unsigned>(CeilDiv(groups, columns)),
               most(CeilDiv(d.to[1], rows)), most(d.images * d.to[0]))};
}

template <typename T, int W, typename Line>
KernelResult CompileLine(const LaunchSpec& launch, const Window& window, Context& context) {
  Depthwise d = ProblemOf(window, Line::kIsGrad);
  const BlockShape shape = Spread(d, W);
  const int64_t taps = window.KernelPositions();
  WSI_RETURN_IF_ERROR(RequireWorkspace(launch, DepthwiseWeightBytes(window)));
  const bool empty = d.images * d.to_channels * d.to[0] * d.to[1] * d.to[2] == 0;
  return MakeKernel([=, &context](const LaunchArguments& a) -> Status {
    if (empty) return {};
    auto* weights = WorkspaceAt<float>(a);
    WeightsKernel<T><<<GridFor(taps * d.weights), kThreads, 0, context.stream>>>(
        a.input<T>(1), taps, d.weights, weights);
    const T* bias = Line::kIsGrad ? nullptr : a.input<T>(2);
    DepthwiseKernel<T, W, Line><<<shape.grid, shape.block, 0, context.stream>>>(
        d, a.input<T>(0), weights, bias, a.output<T>(0));
    return LaunchStatus();
  });
}

template <typename T, template <int, int> typename Line>
KernelResult CompileOf(const LaunchSpec& launch, const Window& w, Context& context) {
  constexpr int kPack = kWide<T>;
  const DepthwiseLine line = DepthwiseLineOf(w, sizeof(T));
  if (line.width == 1) return CompileLine<T, 1, AnyWindow<Line<1, 1>>>(launch, w, context);
  if (line.stride == 1 && line.taps == 3)
    return CompileLine<T, kPack, Line<3, 1>>(launch, w, context);
  if (line.stride == 1 && line.taps == 5)
    return CompileLine<T, kPack, Line<5, 1>>(launch, w, context);
  if (line.stride == 1 && line.taps == 7)
    return CompileLine<T, kPack, Line<7, 1>>(launch, w, context);
  if (line.stride == 2 && line.taps == 3)
    return CompileLine<T, kPack, Line<3, 2>>(launch, w, context);
  if (line.stride == 2 && line.taps == 5)
    return CompileLine<T, kPack, Line<5, 2>>(launch, w, context);
  return CompileLine<T, kPack, AnyWindow<Line<1, 1>>>(launch, w, context);
}

}  // namespace

KernelResult CompileDepthwise(const LaunchSpec& launch, const Window& window, Context& context) {
  return ForStorage(launch, launch.inputs[0].dtype, [&]<typename T>(std::type_identity<T>) {
    return CompileOf<T, Forward>(launch, window, context);
  });
}

KernelResult CompileDepthwiseInputGrad(const LaunchSpec& launch, const Window& window,
                                       Context& context) {
  return ForStorage(launch, launch.inputs[0].dtype, [&]<typename T>(std::type_identity<T>) {
    return CompileOf<T, Backward>(launch, window, context);
  });
}

}  // namespace wsi::cuda
