// Where GridSample and its gradients read, as ONNX's reference states it; fp64 inside.
#pragma once

#include <string_view>

#include "runtime/backends/cuda/device.cuh"
#include "runtime/backends/window.h"

namespace wsi::cuda {

enum class Mode { kNearest, kLinear, kCubic };
enum class Padding { kZeros, kBorder, kReflection };

// Positions read along one axis: how much of each, and the derivative of that by the
// grid's number.
struct Taps {
  int count = 0;
  int64_t index[4];
  double weight[4];
  double slope[4];
};

struct Sampler {
  Mode mode = Mode::kLinear;
  Padding padding = Padding::kZeros;
  bool align_corners = false;

  __device__ double Low() const { return align_corners ? 0 : -0.5; }
  __device__ double High(int64_t size) const {
    return static_cast<double>(size) - (align_corners ? 1.0 : 0.5);
  }

  // Mirrors x between low and high; flips `slope` with the direction.
  __device__ static double Reflect(double x, double low, double high, double& slope) {
    const double range = high - low;
    if (range <= 0) {
      slope = 0;
      return 0;
    }
    const bool below = x < low;
    const double beyond = below ? low - x : x - high;
    const double flips = floor(beyond / range);
    const double rest = beyond - flips * range;
    const bool at_near_edge = fmod(flips, 2.0) == 0;
    if (at_near_edge) slope = -slope;
    return below == at_near_edge ? low + rest : high - rest;
  }

  // Adds what is read of position `index`, which may lie outside.
  __device__ void Add(double index, int64_t size, double weight, double slope, Taps& taps) const {
    const auto last = static_cast<double>(size - 1);
    double ignored = 0;
    if (index < 0 || index > last) {
      if (padding == Padding::kZeros) return;
      if (padding == Padding::kReflection && (index < Low() || index > High(size))) {
        index = Reflect(index, Low(), High(size), ignored);
      }
      index = fmin(fmax(trunc(index), 0.0), last);
    }
    taps.index[taps.count] = static_cast<int64_t>(index);
    taps.weight[taps.count] = weight;
    taps.slope[taps.count++] = slope;
  }

  // Keys' kernel with a = -0.75 at distance d, and its derivative.
  __device__ static double Cubic(double d) {
    constexpr double kA = -0.75;
    const double x = fabs(d);
    if (x <= 1) return ((kA + 2) * x - (kA + 3)) * x * x + 1;
    return ((kA * x - 5 * kA) * x + 8 * kA) * x - 4 * kA;
  }
  __device__ static double CubicSlope(double d) {
    constexpr double kA = -0.75;
    const double x = fabs(d);
    const double slope =
        x <= 1 ? (3 * (kA + 2) * x - 2 * (kA + 3)) * x : (3 * kA * x - 10 * kA) * x + 8 * kA;
    return d < 0 ? -slope : slope;
  }

  // Along one axis of `size` positions, for the grid's number `g`.
  __device__ Taps At(double g, int64_t size) const {
    const auto length = static_cast<double>(size);
    double x = align_corners ? (g + 1) / 2 * (length - 1) : ((g + 1) * length - 1) / 2;
    double slope = align_corners ? (length - 1) / 2 : length / 2;
    if (mode == Mode::kNearest) x = rint(x);
    if (x < Low() || x > High(size)) {
      if (padding == Padding::kBorder) {
        x = fmin(fmax(x, 0.0), length - 1);
        slope = 0;
      } else if (padding == Padding::kReflection) {
        x = Reflect(x, Low(), High(size), slope);
      }
    }
    Taps taps;
    if (!(x > -8 && x < length + 8)) return taps;  // NaN too.
    const double first = floor(x);
    const double t = x - first;
    if (mode == Mode::kNearest) {
      Add(x, size, 1, 0, taps);
    } else if (mode == Mode::kLinear) {
      Add(first, size, 1 - t, -slope, taps);
      Add(first + 1, size, t, slope, taps);
    } else {
      for (int i = -1; i <= 2; ++i) {
        Add(first + i, size, Cubic(t - i), slope * CubicSlope(t - i), taps);
      }
    }
    return taps;
  }
};

// One or two spatial axes become three with leading ones.
struct Sampling {
  Sampler sampler;
  int64_t batch = 0;
  int64_t channels = 0;
  int axes = 0;
  Index3 sizes{1, 1, 1};
  int64_t plane = 1;      // Their product.
  int64_t positions = 1;  // Of y, for each channel.

  // Calls f(offset in a plane, weight, slopes by axis) for the numbers of the grid at `at`.
  template <typename T, typename F>
  __device__ void ForTaps(const T* at, const F& f) const {
    Taps taps[3];
    for (int a = 0; a < 3; ++a) {
      if (a < 3 - axes) {
        taps[a].count = 1;
        taps[a].index[0] = 0;
        taps[a].weight[0] = 1;
        taps[a].slope[0] = 0;
      } else {  // The grid has the last axis first.
        taps[a] = sampler.At(static_cast<double>(Load(at[2 - a])), sizes[static_cast<size_t>(a)]);
      }
    }
    for (int i = 0; i < taps[0].count; ++i) {
      for (int j = 0; j < taps[1].count; ++j) {
        for (int k = 0; k < taps[2].count; ++k) {
          const double w[3] = {taps[0].weight[i], taps[1].weight[j], taps[2].weight[k]};
          const double slopes[3] = {taps[0].slope[i] * w[1] * w[2], w[0] * taps[1].slope[j] * w[2],
                                    w[0] * w[1] * taps[2].slope[k]};
          f((taps[0].index[i] * sizes[1] + taps[1].index[j]) * sizes[2] + taps[2].index[k],
            w[0] * w[1] * w[2], slopes);
        }
      }
    }
  }
};

// For x of shape `x`, y of shape `y` and the grid, input `grid`.
inline Sampling ReadSampling(LaunchCheck& check, const Shape& x, const Shape& y, size_t grid) {
  Sampling s;
  const std::string_view mode = check.String("mode", "linear");
  const std::string_view padding = check.String("padding_mode", "zeros");
  s.sampler.align_corners = check.Flag("align_corners");
  const int rank = x.rank();
  const Shape& positions = check.input(grid);
  bool fits = rank >= 3 && rank <= 5 && y.rank() == rank && positions.rank() == rank;
  fits = fits && y[0] == x[0] && y[1] == x[1] && positions[0] == x[0] &&
         positions[rank - 1] == rank - 2;
  s.axes = rank - 2;
  for (int a = 2; fits && a < rank; ++a) {
    fits = positions[a - 1] == y[a] && x[a] > 0;
    s.sizes[static_cast<size_t>(a + 3 - rank)] = x[a];
    s.plane *= x[a];
    s.positions *= y[a];
  }
  check.Require(fits, "the grid does not lead from one tensor to the other");
  const bool known = (mode == "linear" || mode == "nearest" || mode == "cubic") &&
                     (padding == "zeros" || padding == "border" || padding == "reflection");
  check.Require(known, "has an unknown mode or padding_mode");
  s.sampler.mode = mode == "linear"    ? Mode::kLinear
                   : mode == "nearest" ? Mode::kNearest
                                       : Mode::kCubic;
  s.sampler.padding = padding == "zeros"    ? Padding::kZeros
                      : padding == "border" ? Padding::kBorder
                                            : Padding::kReflection;
  if (fits) {
    s.batch = x[0];
    s.channels = x[1];
  }
  return s;
}

// All operands are of the first input's type.
inline void SameTypes(const LaunchSpec& launch, LaunchCheck& check) {
  for (size_t i = 1; i < launch.inputs.size(); ++i) check.InputIs(i, check.input_type(0));
  check.OutputIs(0, check.input_type(0));
}

}  // namespace wsi::cuda
