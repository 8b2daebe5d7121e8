// What pooling over windows shares, channels last: a thread a position and pack of channels.
#pragma once

#include <limits>

#include "runtime/backends/cuda/columns.cuh"
#include "runtime/backends/window.h"

namespace wsi::cuda {

inline Window ReadPool(LaunchCheck& check, const Shape& x, const Shape& y) {
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

// Divides by what many threads divide by, most often a power of 2.
__device__ inline int64_t Quotient(int64_t value, int64_t divisor) {
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

// The taps of output `o` along axis `a` that lie inside the image: from begin to below end,
// which may be less.
struct TapRange {
  int64_t begin, end;
  __device__ static TapRange Of(const Window& w, size_t a, int64_t o) {
    const int64_t from = o * w.stride[a] - w.pad_begin[a];  // Where tap 0 is.
    const int64_t dilation = w.dilation[a];
    return {from >= 0 ? 0 : Quotient(dilation - 1 - from, dilation),
            min(w.kernel[a], Quotient(max(w.in[a] - 1 - from + dilation, int64_t{0}), dilation))};
  }
};

// Calls f(tap, input position), flat, for the taps of output `o` inside the image, in order.
template <typename F>
__device__ void ForTaps(const Window& w, const Index3& o, const F& f) {
  const TapRange deep = TapRange::Of(w, 0, o[0]);
  const TapRange down = TapRange::Of(w, 1, o[1]);
  const TapRange across = TapRange::Of(w, 2, o[2]);
  for (int64_t k0 = deep.begin; k0 < deep.end; ++k0) {
    const int64_t i0 = o[0] * w.stride[0] + k0 * w.dilation[0] - w.pad_begin[0];
    for (int64_t k1 = down.begin; k1 < down.end; ++k1) {
      const int64_t i1 = o[1] * w.stride[1] + k1 * w.dilation[1] - w.pad_begin[1];
      const int64_t line = (i0 * w.in[1] + i1) * w.in[2] + o[2] * w.stride[2] - w.pad_begin[2];
      const int64_t first = (k0 * w.kernel[1] + k1) * w.kernel[2];
#pragma unroll 3
      for (int64_t k2 = across.begin; k2 < across.end; ++k2) {
        f(first + k2, line + k2 * w.dilation[2]);
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
__device__ inline int64_t TapOf(const Window& w, size_t a, int64_t i, int64_t o) {
  const auto from = static_cast<unsigned>(i + w.pad_begin[a] - o * w.stride[a]);
  const auto dilation = static_cast<unsigned>(w.dilation[a]);
  if (dilation == 1) return from;
  return from % dilation == 0 ? int64_t{from / dilation} : -1;
}

inline ColumnShape ColumnsOf(const Window& w, int64_t positions) {
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

}  // namespace wsi::cuda
