// Which inputs a window reads, and which windows read an input.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "runtime/backends/cpu/window.h"

namespace wsi::cpu {

// The part [first, last) of the taps of output position `o` that lie inside the input.
struct Taps {
  int64_t start = 0;  // Input position of tap 0.
  int64_t first = 0;
  int64_t last = 0;
};
inline Taps TapsOf(const WindowAxis& axis, int64_t o) {
  Taps taps{.start = o * axis.stride - axis.pad_begin};
  taps.first = taps.start >= 0 ? 0 : CeilDiv(-taps.start, axis.dilation);
  taps.last =
      std::clamp<int64_t>(CeilDiv(std::max<int64_t>(0, axis.input - taps.start), axis.dilation),
                          taps.first, axis.kernel);
  taps.first = std::min(taps.first, taps.last);
  return taps;
}

// Positions of `sizes` as (n, i0, i1, i2) of a running number.
struct Position {
  int64_t n = 0;
  std::array<int64_t, 3> i{};
};
inline Position PositionOf(int64_t number, const std::array<int64_t, 3>& sizes) {
  Position p;
  for (size_t d = 3; d-- > 0;) {
    p.i[d] = number % sizes[d];
    number /= sizes[d];
  }
  p.n = number;
  return p;
}
inline std::array<int64_t, 3> InputSizes(const Window& w) {
  return {w.axes[0].input, w.axes[1].input, w.axes[2].input};
}
inline std::array<int64_t, 3> OutputSizes(const Window& w) {
  return {w.axes[0].output, w.axes[1].output, w.axes[2].output};
}
inline int64_t NumberOf(const Position& p, const std::array<int64_t, 3>& sizes) {
  return ((p.n * sizes[0] + p.i[0]) * sizes[1] + p.i[1]) * sizes[2] + p.i[2];
}

// function(input position number, tap number) for the taps inside the input of the
// window at output `p`, in row-major tap order.
template <typename F>
void ForEachTap(const Window& w, const Position& p, const F& function) {
  const Taps t0 = TapsOf(w.axes[0], p.i[0]);
  const Taps t1 = TapsOf(w.axes[1], p.i[1]);
  const Taps t2 = TapsOf(w.axes[2], p.i[2]);
  const auto sizes = InputSizes(w);
  for (int64_t k0 = t0.first; k0 < t0.last; ++k0) {
    for (int64_t k1 = t1.first; k1 < t1.last; ++k1) {
      for (int64_t k2 = t2.first; k2 < t2.last; ++k2) {
        const Position in = {
            .n = p.n,
            .i = {t0.start + k0 * w.axes[0].dilation, t1.start + k1 * w.axes[1].dilation,
                  t2.start + k2 * w.axes[2].dilation}};
        function(NumberOf(in, sizes),
                 static_cast<int32_t>((k0 * w.axes[1].kernel + k1) * w.axes[2].kernel + k2));
      }
    }
  }
}

// function(o, k) for the output positions of an axis that read input `i`, by tap k.
template <typename F>
void ForEachReader(const WindowAxis& axis, int64_t i, const F& function) {
  for (int64_t k = 0; k < axis.kernel; ++k) {
    const int64_t from = i + axis.pad_begin - k * axis.dilation;
    if (from < 0) return;
    if (from % axis.stride == 0 && from / axis.stride < axis.output) {
      function(from / axis.stride, k);
    }
  }
}

// function(output position, output number, tap number) for the windows that read
// input `p`.
template <typename F>
void ForEachWindow(const Window& w, const Position& p, const F& function) {
  const auto sizes = OutputSizes(w);
  ForEachReader(w.axes[0], p.i[0], [&](int64_t o0, int64_t k0) {
    ForEachReader(w.axes[1], p.i[1], [&](int64_t o1, int64_t k1) {
      ForEachReader(w.axes[2], p.i[2], [&](int64_t o2, int64_t k2) {
        const Position out = {.n = p.n, .i = {o0, o1, o2}};
        function(out, NumberOf(out, sizes),
                 static_cast<int32_t>((k0 * w.axes[1].kernel + k1) * w.axes[2].kernel + k2));
      });
    });
  });
}

}  // namespace wsi::cpu
