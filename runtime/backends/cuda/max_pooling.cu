// Largest elements of windows. Gradients are gathered: each input adds up the windows that it
// is the largest of, in the windows' order.
#include "runtime/backends/cuda/kernels.h"
#include "runtime/backends/cuda/pooling.cuh"

namespace wsi::cuda {
namespace {

constexpr int64_t kByteWindows = 256;  // Up to here a window position fits u8.
constexpr int64_t kMostLines = 65535;  // Of a grid.

DType IndexType(const Window& w) {
  return w.KernelPositions() <= kByteWindows ? DType::kU8 : DType::kI32;
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
    ForTaps(w, p.position, [&](int64_t tap, int64_t in) {
      float v[W];
      const int64_t row = p.n * w.InPositions() + in;
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

// Largest elements of W channels, and the taps of these. NaN wins; the first of equal ones wins.
template <int W>
struct Largest {
  float v[W];
  int tap[W];
  __device__ explicit Largest(int first_tap) {
#pragma unroll
    for (int c = 0; c < W; ++c) v[c] = -std::numeric_limits<float>::infinity();
#pragma unroll
    for (int c = 0; c < W; ++c) tap[c] = first_tap;
  }
  // What comes behind all that it had.
  __device__ void Add(int c, float other, int other_tap) {
    const bool wins = other > v[c] || (other != other && v[c] == v[c]);
    v[c] = wins ? other : v[c];
    tap[c] = wins ? other_tap : tap[c];
  }
};

// Of K x K windows that are 2 apart, K being 2 or 3. A thread's outputs lie below each other, from
// blockIdx.y * height on; windows of 3 rows share one, of which it keeps the largest elements.
template <int W, int K, typename T, typename I>
__global__ void __launch_bounds__(kThreads, 3)
    MaxPoolStridesKernel(Window w, int64_t height, const T* x, T* y, I* index) {
  const int64_t packs = w.in_channels / W;
  const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  const int64_t o2 = Quotient(i, packs);
  if (o2 >= w.out[2]) return;
  const int64_t channel = (i - o2 * packs) * W;
  const int64_t left = 2 * o2 - w.pad_begin[2];
  bool inside[K];
#pragma unroll
  for (int k = 0; k < K; ++k) inside[k] = left + k >= 0 && left + k < w.in[2];
  const auto first_inside = [](int64_t at) { return at < 0 ? static_cast<int>(-at) : 0; };
  using Row = Pack<T, W>[K];
  const auto fetch = [&](int64_t n, int64_t i1, Row& row) {
    if (i1 < 0 || i1 >= w.in[1]) return false;
    const int64_t at = ((n * w.in[1] + i1) * w.in[2] + left) * w.in_channels + channel;
#pragma unroll
    for (int k = 0; k < K; ++k) {
      if (!inside[k]) continue;
      row[k] = *reinterpret_cast<const Pack<T, W>*>(x + at + k * w.in_channels);
    }
    return true;
  };
  const auto largest = [&](const Row& row) {
    Largest<W> result(first_inside(left));
#pragma unroll
    for (int k = 0; k < K; ++k) {
      if (!inside[k]) continue;
#pragma unroll
      for (int c = 0; c < W; ++c) result.Add(c, Load(row[k].v[c]), k);
    }
    return result;
  };
  constexpr int kKept = K - 2;  // Rows that a window shares with the one above.
  const int64_t begin = int64_t{blockIdx.y} * height;
  const int64_t end = min(begin + height, w.out[1]);
  for (int64_t n = blockIdx.z; n < w.batch; n += gridDim.z) {
    Row rows[2];
    bool there[3] = {};  // By row of the window.
    Largest<W> kept(0);
    if constexpr (kKept > 0) {
      there[0] = fetch(n, 2 * begin - w.pad_begin[1], rows[0]);
      if (there[0]) kept = largest(rows[0]);
    }
    for (int64_t o1 = begin; o1 < end; ++o1) {
      const int64_t top = 2 * o1 - w.pad_begin[1];
#pragma unroll
      for (int k = 0; k < 2; ++k) there[kKept + k] = fetch(n, top + kKept + k, rows[k]);
      Largest<W> best(first_inside(top) * K + first_inside(left));
#pragma unroll
      for (int k = 0; k < K; ++k) {
        if (!there[k]) continue;
        if (k >= kKept) kept = largest(rows[k - kKept]);
#pragma unroll
        for (int c = 0; c < W; ++c) best.Add(c, kept.v[c], k * K + kept.tap[c]);
      }
      there[0] = kKept > 0 && there[K - 1];
      const int64_t at = ((n * w.out[1] + o1) * w.out[2] + o2) * w.in_channels + channel;
      StorePack<T, W>(best.v, y + at);
      if (index == nullptr) continue;
      Pack<I, W> taps;
#pragma unroll
      for (int c = 0; c < W; ++c) taps.v[c] = static_cast<I>(best.tap[c]);
      *reinterpret_cast<Pack<I, W>*>(index + at) = taps;
    }
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

// Where windows of images are 2 apart and reach over at most 2 of these: inputs go in squares
// of 2 x 2, each of which lies in the same 2 x 2 windows.
constexpr int64_t kMostSquareKernel = 4;

bool HasSquares(const Window& w) {
  const auto along = [&](size_t a) {
    return w.stride[a] == 2 && w.dilation[a] == 1 && w.kernel[a] <= kMostSquareKernel;
  };
  return w.kernel[0] == 1 && w.stride[0] == 1 && w.in[0] == 1 && w.out[0] == 1 &&
         w.pad_begin[0] == 0 && along(1) && along(2);
}

// For threads that each take `height` of `down` rows: packs of a row, chunks of rows, images.
dim3 GridOf(const Window& w, int64_t across, int64_t down, int64_t height) {
  return dim3(static_cast<unsigned>(CeilDiv(across, kThreads)),
              static_cast<unsigned>(CeilDiv(down, height)),
              static_cast<unsigned>(std::min(w.batch, kMostLines)));
}
int64_t HeightOf(int64_t down) { return std::max<int64_t>(8, CeilDiv(down, kMostLines)); }

template <int W, typename T, typename I>
void RunMaxPool(const Window& w, int64_t items, const T* x, T* y, I* index, cudaStream_t stream) {
  const int64_t k = HasSquares(w) && w.kernel[1] == w.kernel[2] ? w.kernel[1] : 0;
  const int64_t height = HeightOf(w.out[1]);
  const dim3 grid = GridOf(w, w.out[2] * (w.in_channels / W), w.out[1], height);
  if (k == 3) {
    MaxPoolStridesKernel<W, 3><<<grid, kThreads, 0, stream>>>(w, height, x, y, index);
  } else if (k == 2) {
    MaxPoolStridesKernel<W, 2><<<grid, kThreads, 0, stream>>>(w, height, x, y, index);
  } else {
    MaxPoolKernel<W><<<GridFor(items), kThreads, 0, stream>>>(w, items, x, y, index);
  }
}

// A thread's squares lie below each other, from blockIdx.y * height on; it keeps the lower
// windows of one for the next. Square (a, b) has the inputs u - pad_begin, u in {2a, 2a + 1} x
// {2b, 2b + 1}, and output o reaches over 2o <= u < 2o + kernel: o is in {a - 1, a} x {b - 1, b}.
template <int W, typename T, typename I>
__global__ void __launch_bounds__(kThreads, 3)
    MaxPoolSquaresKernel(Window w, int64_t height, const T* dy, const I* index, T* dx) {
  const int64_t packs = w.in_channels / W;
  const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  const int64_t b = Quotient(i, packs);
  const int64_t channel = (i - b * packs) * W;
  const auto pad1 = w.pad_begin[1];
  const auto pad2 = w.pad_begin[2];
  if (2 * b >= w.in[2] + pad2) return;
  struct Output {
    Pack<T, W> d;
    Pack<I, W> taps;
    bool inside;
  };
  const auto fetch = [&](int64_t n, int64_t o1, Output(&to)[2]) {
#pragma unroll
    for (int k = 0; k < 2; ++k) {
      const int64_t o2 = b - 1 + k;
      to[k].inside = o1 >= 0 && o1 < w.out[1] && o2 >= 0 && o2 < w.out[2];
      if (!to[k].inside) continue;
      const int64_t at = ((n * w.out[1] + o1) * w.out[2] + o2) * w.in_channels + channel;
      to[k].d = *reinterpret_cast<const Pack<T, W>*>(dy + at);
      to[k].taps = *reinterpret_cast<const Pack<I, W>*>(index + at);
    }
  };
  const int64_t begin = int64_t{blockIdx.y} * height;
  const int64_t end = min(begin + height, CeilDiv(w.in[1] + pad1, int64_t{2}));
  for (int64_t n = blockIdx.z; n < w.batch; n += gridDim.z) {
    Output outputs[2][2];
    fetch(n, begin - 1, outputs[1]);
    for (int64_t a = begin; a < end; ++a) {
#pragma unroll
      for (int k = 0; k < 2; ++k) outputs[0][k] = outputs[1][k];
      fetch(n, a, outputs[1]);
#pragma unroll
      for (int u = 0; u < 4; ++u) {
        const int64_t i1 = 2 * a + u / 2 - pad1;
        const int64_t i2 = 2 * b + u % 2 - pad2;
        if (i1 < 0 || i1 >= w.in[1] || i2 < 0 || i2 >= w.in[2]) continue;
        float sum[W] = {};
#pragma unroll
        for (int o = 0; o < 4; ++o) {
          const Output& output = outputs[o / 2][o % 2];
          const int k1 = u / 2 + 2 - 2 * (o / 2);
          const int k2 = u % 2 + 2 - 2 * (o % 2);
          if (k1 >= w.kernel[1] || k2 >= w.kernel[2] || !output.inside) continue;
          const auto tap = static_cast<I>(k1 * w.kernel[2] + k2);
#pragma unroll
          for (int c = 0; c < W; ++c) {
            if (output.taps.v[c] == tap) sum[c] += Load(output.d.v[c]);
          }
        }
        const int64_t row = (n * w.in[1] + i1) * w.in[2] + i2;
        StorePack<T, W>(sum, dx + row * w.in_channels + channel);
      }
    }
  }
}

template <int W, typename T, typename I>
void RunMaxPoolGrad(const Window& w, const T* dy, const I* index, T* dx, cudaStream_t stream) {
  if (HasSquares(w)) {
    const int64_t across = CeilDiv(w.in[2] + w.pad_begin[2], int64_t{2});
    const int64_t down = CeilDiv(w.in[1] + w.pad_begin[1], int64_t{2});
    const int64_t height = HeightOf(down);
    const dim3 grid = GridOf(w, across * (w.in_channels / W), down, height);
    MaxPoolSquaresKernel<W><<<grid, kThreads, 0, stream>>>(w, height, dy, index, dx);
    return;
  }
  const int64_t rows = w.batch * w.in[0] * w.in[1];
  const int64_t blocks = CeilDiv(w.in[2] * (w.in_channels / W), kThreads);
  constexpr int64_t kWantedBlocks = 16384;
  const int64_t lines = std::clamp<int64_t>(kWantedBlocks / blocks, 1, std::min(rows, kMostLines));
  const dim3 grid(static_cast<unsigned>(blocks), static_cast<unsigned>(lines));
  MaxPoolGradKernel<W><<<grid, kThreads, 0, stream>>>(w, rows, dy, index, dx);
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
          RunMaxPool<width.value>(w, items, a.input<T>(0), a.output<T>(0), a.output<uint8_t>(1),
                                  context.stream);
        } else {
          RunMaxPool<width.value>(w, items, a.input<T>(0), a.output<T>(0), a.output<int32_t>(1),
                                  context.stream);
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

}  // namespace wsi::cuda
