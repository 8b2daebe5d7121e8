// Pooling over windows, channels last: a thread a position and pack of channels. Gradients
// are gathered: each input adds up the windows that it lies in, in the windows' order.
#include <limits>

#include "runtime/backends/cuda/columns.cuh"
#include "runtime/backends/cuda/kernels.h"
#include "runtime/backends/window.h"

namespace wsi::cuda {
namespace {

constexpr int64_t kByteWindows = 256;  // Up to here a window position fits u8.
constexpr int64_t kMostLines = 65535;  // Of a grid.

Window ReadPool(LaunchCheck& check, const Shape& x, const Shape& y) {
  const Window w = ReadWindow(check, x, y);
  check.Require(w.in_channels == w.out_channels, "input and output differ in channels");
  check.Require(w.KernelPositions() <= std::numeric_limits<int32_t>::max(),
                "the window is too large");
  for (size_t a = 0; a < 3; ++a) {
    check.Require(w.in[a] + w.pad_begin[a] <= std::numeric_limits<int32_t>::max() &&
                      w.kernel[a] <= std::numeric_limits<int32_t>::max() / w.dilation[a],
                  "an axis has more than 2^31 positions");
  }
  return w;
}

DType IndexType(const Window& w) {
  return w.KernelPositions() <= kByteWindows ? DType::kU8 : DType::kI32;
}

// Divides by what many threads divide by, most often a power of 2.
__device__ int64_t Quotient(int64_t value, int64_t divisor) {
  if ((divisor & (divisor - 1)) == 0) return value >> (63 - __clzll(divisor));
  return value / divisor;
}

// Item i of positions times packs: its image, position and first channel.
struct Place {
  int64_t n;
  Index3 position;
  int64_t row;  // Of all positions of all images.
  int64_t channel;
};
template <int W>
__device__ Place Locate(const Window& w, const Index3& sizes, int64_t i) {
  Place p;
  const int64_t packs = w.in_channels / W;
  p.row = Quotient(i, packs);
  p.channel = (i - p.row * packs) * W;
  int64_t rest = p.row;
  for (int a = 2; a >= 0; --a) {
    const auto axis = static_cast<size_t>(a);
    const int64_t above = Quotient(rest, sizes[axis]);
    p.position[axis] = rest - above * sizes[axis];
    rest = above;
  }
  p.n = rest;
  return p;
}

// Calls f(tap, input position) for the taps of output `o` inside the image, in order.
template <typename F>
__device__ void ForTaps(const Window& w, const Index3& o, const F& f) {
  Index3 k;
  int64_t tap = 0;
  for (k[0] = 0; k[0] < w.kernel[0]; ++k[0]) {
    for (k[1] = 0; k[1] < w.kernel[1]; ++k[1]) {
      for (k[2] = 0; k[2] < w.kernel[2]; ++k[2], ++tap) {
        Index3 i;
        if (w.Tap(o, k, i)) f(tap, i);
      }
    }
  }
}

// The outputs along axis `a` whose windows reach over input `i`: from first to last.
struct Run {
  int64_t first, last;
  __device__ static Run Of(const Window& w, size_t a, int64_t i) {
    const auto reach = static_cast<unsigned>(i + w.pad_begin[a]);
    const auto extent = static_cast<unsigned>((w.kernel[a] - 1) * w.dilation[a]);
    const auto stride = static_cast<unsigned>(w.stride[a]);
    const int64_t first =
        reach <= extent ? 0 : Quotient(int64_t{reach} - extent + stride - 1, stride);
    return {first, min(Quotient(reach, stride), w.out[a] - 1)};
  }
};
// The tap of output `o`, whose window reaches over input `i`, or -1 where it is between taps.
__device__ int64_t TapOf(const Window& w, size_t a, int64_t i, int64_t o) {
  const auto from = static_cast<unsigned>(i + w.pad_begin[a] - o * w.stride[a]);
  const auto dilation = static_cast<unsigned>(w.dilation[a]);
  if (dilation == 1) return from;
  return from % dilation == 0 ? int64_t{from / dilation} : -1;
}

// Calls f(tap, output position) for the windows that input `i` lies in.
template <typename F>
__device__ void ForWindows(const Window& w, const Index3& i, const F& f) {
  const Run runs[3] = {Run::Of(w, 0, i[0]), Run::Of(w, 1, i[1]), Run::Of(w, 2, i[2])};
  Index3 o;
  for (o[0] = runs[0].first; o[0] <= runs[0].last; ++o[0]) {
    const int64_t k0 = TapOf(w, 0, i[0], o[0]);
    for (o[1] = runs[1].first; o[1] <= runs[1].last; ++o[1]) {
      const int64_t k1 = TapOf(w, 1, i[1], o[1]);
      for (o[2] = runs[2].first; o[2] <= runs[2].last; ++o[2]) {
        const int64_t k2 = TapOf(w, 2, i[2], o[2]);
        if (k0 >= 0 && k1 >= 0 && k2 >= 0) f((k0 * w.kernel[1] + k1) * w.kernel[2] + k2, o);
      }
    }
  }
}

// What AveragePool divides by: taps inside the image, or inside its padding too.
__device__ float Divisor(const Window& w, const Index3& o, bool include_pad) {
  int64_t taps = 1;
  for (size_t a = 0; a < 3; ++a) {
    int64_t inside = 0;
    for (int64_t k = 0; k < w.kernel[a]; ++k) {
      const int64_t i = o[a] * w.stride[a] + k * w.dilation[a] - w.pad_begin[a];
      const bool in = i >= 0 && i < w.in[a];
      inside += in || (include_pad && i < w.in[a] + w.pad_end[a]) ? 1 : 0;
    }
    taps *= inside;
  }
  return static_cast<float>(taps > 0 ? taps : 1);
}

template <int W, typename T, typename I>
__global__ void MaxPoolKernel(Window w, int64_t items, const T* x, T* y, I* index) {
  for (int64_t i = FirstItem(); i < items; i += ItemStride()) {
    const Place p = Locate<W>(w, w.out, i);
    float best[W];
    I taps[W] = {};
    bool found = false;
#pragma unroll
    for (int c = 0; c < W; ++c) best[c] = -std::numeric_limits<float>::infinity();
    ForTaps(w, p.position, [&](int64_t tap, const Index3& in) {
      float v[W];
      const int64_t row = p.n * w.InPositions() + Flat(in, w.in);
      LoadPack<T, W>(x + row * w.in_channels + p.channel, v);
#pragma unroll
      for (int c = 0; c < W; ++c) {
        // NaN wins; the first of equal ones wins.
        if (found && !(v[c] > best[c]) && !(v[c] != v[c] && best[c] == best[c])) continue;
        best[c] = v[c];
        taps[c] = static_cast<I>(tap);
      }
      found = true;
    });
    const int64_t at = p.row * w.in_channels + p.channel;
    StorePack<T, W>(best, y + at);
    if (index == nullptr) continue;
    Pack<I, W> pack;
#pragma unroll
    for (int c = 0; c < W; ++c) pack.v[c] = taps[c];
    *reinterpret_cast<Pack<I, W>*>(index + at) = pack;
  }
}

// Grid: packs of a row of inputs, rows. Where a row's windows are is the same for its
// threads, where a column's are for all rows of a thread.
template <int W, typename T, typename I>
__global__ void __launch_bounds__(kThreads, 4)
    MaxPoolGradKernel(Window w, int64_t rows, const T* dy, const I* index, T* dx) {
  const int64_t packs = w.in_channels / W;
  const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  const int64_t column = Quotient(i, packs);
  if (column >= w.in[2]) return;
  const int64_t channel = (i - column * packs) * W;
  const Run across = Run::Of(w, 2, column);
  for (int64_t row = blockIdx.y; row < rows; row += gridDim.y) {
    const int64_t above = Quotient(row, w.in[1]);
    const int64_t n = Quotient(above, w.in[0]);
    const int64_t i1 = row - above * w.in[1];
    const int64_t i0 = above - n * w.in[0];
    const Run deep = Run::Of(w, 0, i0);
    const Run down = Run::Of(w, 1, i1);
    float sum[W] = {};
    for (int64_t o0 = deep.first; o0 <= deep.last; ++o0) {
      const int64_t k0 = TapOf(w, 0, i0, o0);
      for (int64_t o1 = down.first; o1 <= down.last; ++o1) {
        const int64_t k1 = TapOf(w, 1, i1, o1);
        if (k0 < 0 || k1 < 0) continue;
        const int64_t line = ((n * w.out[0] + o0) * w.out[1] + o1) * w.out[2];
        for (int64_t o2 = across.first; o2 <= across.last; ++o2) {
          const int64_t k2 = TapOf(w, 2, column, o2);
          if (k2 < 0) continue;
          const int64_t at = (line + o2) * w.in_channels + channel;
          const auto tap = static_cast<I>((k0 * w.kernel[1] + k1) * w.kernel[2] + k2);
          float d[W];
          LoadPack<T, W>(dy + at, d);
          const Pack<I, W> taps = *reinterpret_cast<const Pack<I, W>*>(index + at);
#pragma unroll
          for (int c = 0; c < W; ++c) {
            if (taps.v[c] == tap) sum[c] += d[c];
          }
        }
      }
    }
    StorePack<T, W>(sum, dx + (row * w.in[2] + column) * w.in_channels + channel);
  }
}

template <int W, typename T, typename I>
void RunMaxPoolGrad(const Window& w, const T* dy, const I* index, T* dx, cudaStream_t stream) {
  const int64_t rows = w.batch * w.in[0] * w.in[1];
  const int64_t blocks = CeilDiv(w.in[2] * (w.in_channels / W), kThreads);
  constexpr int64_t kWantedBlocks = 16384;
  const int64_t lines = std::clamp<int64_t>(kWantedBlocks / blocks, 1, std::min(rows, kMostLines));
  const dim3 grid(static_cast<unsigned>(blocks), static_cast<unsigned>(lines));
  MaxPoolGradKernel<W><<<grid, kThreads, 0, stream>>>(w, rows, dy, index, dx);
}

template <int W, typename T>
__global__ void AveragePoolKernel(Window w, bool include_pad, int64_t items, const T* x, T* y) {
  for (int64_t i = FirstItem(); i < items; i += ItemStride()) {
    const Place p = Locate<W>(w, w.out, i);
    float sum[W] = {};
    ForTaps(w, p.position, [&](int64_t, const Index3& in) {
      float v[W];
      const int64_t row = p.n * w.InPositions() + Flat(in, w.in);
      LoadPack<T, W>(x + row * w.in_channels + p.channel, v);
#pragma unroll
      for (int c = 0; c < W; ++c) sum[c] += v[c];
    });
    const float divisor = Divisor(w, p.position, include_pad);
#pragma unroll
    for (int c = 0; c < W; ++c) sum[c] /= divisor;
    StorePack<T, W>(sum, y + p.row * w.in_channels + p.channel);
  }
}

template <int W, typename T>
__global__ void AveragePoolGradKernel(Window w, bool include_pad, int64_t items, const T* dy,
                                      T* dx) {
  for (int64_t i = FirstItem(); i < items; i += ItemStride()) {
    const Place p = Locate<W>(w, w.in, i);
    float sum[W] = {};
    ForWindows(w, p.position, [&](int64_t, const Index3& out) {
      const int64_t row = p.n * w.OutPositions() + Flat(out, w.out);
      const float divisor = Divisor(w, out, include_pad);
      float d[W];
      LoadPack<T, W>(dy + row * w.in_channels + p.channel, d);
#pragma unroll
      for (int c = 0; c < W; ++c) sum[c] += d[c] / divisor;
    });
    StorePack<T, W>(sum, dx + p.row * w.in_channels + p.channel);
  }
}

ColumnShape ColumnsOf(const Window& w, int64_t positions) {
  return {.rows = w.batch * positions, .columns = w.in_channels};
}

// run(W, items) for the packs of the positions' channels.
template <typename T, typename F>
void ForPacks(const Window& w, int64_t positions, const F& run) {
  const ColumnShape shape = ColumnsOf(w, positions);
  WithWidth<T>(shape, [&](auto width) {
    const int64_t items = shape.rows * shape.columns / width.value;
    if (items > 0) run(width, items);
  });
}

}  // namespace

KernelResult CompileMaxPool(const LaunchSpec& launch, Context& context) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("F", "Fx"));
  const Window w = ReadPool(check, check.input(0), check.output(0));
  check.OutputIs(0, check.input_type(0));
  check.OutputIs(1, check.output(0));
  check.OutputIs(1, IndexType(w));
  WSI_RETURN_IF_ERROR(check.status());
  return ForStorage(launch, check.input_type(0), [&]<typename T>(std::type_identity<T>) {
    return MakeKernel([=, &context](const LaunchArguments& a) {
      ForPacks<T>(w, w.OutPositions(), [&](auto width, int64_t items) {
        if (IndexType(w) == DType::kU8) {
          MaxPoolKernel<width.value><<<GridFor(items), kThreads, 0, context.stream>>>(
              w, items, a.input<T>(0), a.output<T>(0), a.output<uint8_t>(1));
        } else {
          MaxPoolKernel<width.value><<<GridFor(items), kThreads, 0, context.stream>>>(
              w, items, a.input<T>(0), a.output<T>(0), a.output<int32_t>(1));
        }
      });
      return LaunchStatus();
    });
  });
}

KernelResult CompileMaxPoolGrad(const LaunchSpec& launch, Context& context) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("FX", "F"));
  const Window w = ReadPool(check, check.output(0), check.input(0));
  check.InputIs(1, check.input(0));
  check.InputIs(1, IndexType(w));
  check.OutputIs(0, ReadInputShape(check, check.output(0).rank()));
  check.OutputIs(0, check.input_type(0));
  WSI_RETURN_IF_ERROR(check.status());
  return ForStorage(launch, check.input_type(0), [&]<typename T>(std::type_identity<T>) {
    return MakeKernel([=, &context](const LaunchArguments& a) {
      ForPacks<T>(w, w.InPositions(), [&](auto width, int64_t) {
        if (IndexType(w) == DType::kU8) {
          RunMaxPoolGrad<width.value>(w, a.input<T>(0), a.input<uint8_t>(1), a.output<T>(0),
                                      context.stream);
        } else {
          RunMaxPoolGrad<width.value>(w, a.input<T>(0), a.input<int32_t>(1), a.output<T>(0),
                                      context.stream);
        }
      });
      return LaunchStatus();
    });
  });
}

KernelResult CompileAveragePool(const LaunchSpec& launch, Context& context) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("F", "F"));
  const Window w = ReadPool(check, check.input(0), check.output(0));
  const bool include_pad = check.Flag("count_include_pad");
  check.OutputIs(0, check.input_type(0));
  WSI_RETURN_IF_ERROR(check.status());
  return ForStorage(launch, check.input_type(0), [&]<typename T>(std::type_identity<T>) {
    return MakeKernel([=, &context](const LaunchArguments& a) {
      ForPacks<T>(w, w.OutPositions(), [&](auto width, int64_t items) {
        AveragePoolKernel<width.value><<<GridFor(items), kThreads, 0, context.stream>>>(
            w, include_pad, items, a.input<T>(0), a.output<T>(0));
      });
      return LaunchStatus();
    });
  });
}

KernelResult CompileAveragePoolGrad(const LaunchSpec& launch, Context& context) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("F", "F"));
  const Window w = ReadPool(check, check.output(0), check.input(0));
  const bool include_pad = check.Flag("count_include_pad");
  check.OutputIs(0, ReadInputShape(check, check.output(0).rank()));
  check.OutputIs(0, check.input_type(0));
  WSI_RETURN_IF_ERROR(check.status());
  return ForStorage(launch, check.input_type(0), [&]<typename T>(std::type_identity<T>) {
    return MakeKernel([=, &context](const LaunchArguments& a) {
      ForPacks<T>(w, w.InPositions(), [&](auto width, int64_t items) {
        AveragePoolGradKernel<width.value><<<GridFor(items), kThreads, 0, context.stream>>>(
            w, include_pad, items, a.input<T>(0), a.output<T>(0));
      });
      return LaunchStatus();
    });
  });
}

}  // namespace wsi::cuda
