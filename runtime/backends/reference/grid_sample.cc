// GridSample, as ONNX's reference states it, and its gradients.
#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <vector>

#include "runtime/backends/reference/kernels.h"
#include "runtime/backends/reference/launch_check.h"

namespace wsi::reference {
namespace {

// A position read, how much of it, and the derivative of that by the grid's number.
struct Tap {
  int64_t index = 0;
  double weight = 0;
  double slope = 0;
};

struct Sampler {
  std::string mode;
  std::string padding;
  bool align_corners = false;

  // Mirrors x between low and high; flips `slope` with the direction.
  static double Reflect(double x, double low, double high, double& slope) {
    const double range = high - low;
    if (range <= 0) {
      slope = 0;
      return 0;
    }
    const bool below = x < low;
    const double beyond = below ? low - x : x - high;
    const double flips = std::floor(beyond / range);
    const double rest = beyond - flips * range;
    const bool at_near_edge = std::fmod(flips, 2) == 0;
    if (at_near_edge) slope = -slope;
    return below == at_near_edge ? low + rest : high - rest;
  }

  double Low() const { return align_corners ? 0 : -0.5; }
  double High(int64_t size) const {
    return static_cast<double>(size) - (align_corners ? 1.0 : 0.5);
  }

  // Adds what is read of position `index`, which may lie outside.
  void AddTap(double index, int64_t size, double weight, double slope,
              std::vector<Tap>& taps) const {
    const double last = static_cast<double>(size - 1);
    double ignored = 0;
    if (index < 0 || index > last) {
      if (padding == "zeros") return;
      if (padding == "reflection" && (index < Low() || index > High(size))) {
        index = Reflect(index, Low(), High(size), ignored);
      }
      index = std::clamp(std::trunc(index), 0.0, last);
    }
    taps.push_back({static_cast<int64_t>(index), weight, slope});
  }

  // Along one axis of `size` positions, for the grid's number `g`.
  std::vector<Tap> Taps(double g, int64_t size) const {
    const auto length = static_cast<double>(size);
    double x = align_corners ? (g + 1) / 2 * (length - 1) : ((g + 1) * length - 1) / 2;
    double slope = align_corners ? (length - 1) / 2 : length / 2;
    if (mode == "nearest") x = std::nearbyint(x);
    if (x < Low() || x > High(size)) {
      if (padding == "border") {
        x = std::clamp(x, 0.0, length - 1);
        slope = 0;
      } else if (padding == "reflection") {
        x = Reflect(x, Low(), High(size), slope);
      }
    }
    std::vector<Tap> taps;
    if (!(x > -8 && x < length + 8)) return taps;  // NaN too.
    const double first = std::floor(x);
    const double t = x - first;
    if (mode == "nearest") {
      AddTap(x, size, 1, 0, taps);
    } else if (mode == "linear") {
      AddTap(first, size, 1 - t, -slope, taps);
      AddTap(first + 1, size, t, slope, taps);
    } else {
      for (int i = -1; i <= 2; ++i) {
        AddTap(first + i, size, Cubic(t - i), slope * CubicSlope(t - i), taps);
      }
    }
    return taps;
  }

  // Keys' kernel with a = -0.75 at distance d, and its derivative.
  static constexpr double kA = -0.75;
  static double Cubic(double d) {
    const double x = std::abs(d);
    if (x <= 1) return ((kA + 2) * x - (kA + 3)) * x * x + 1;
    return ((kA * x - 5 * kA) * x + 8 * kA) * x - 4 * kA;
  }
  static double CubicSlope(double d) {
    const double x = std::abs(d);
    const double slope =
        x <= 1 ? (3 * (kA + 2) * x - 2 * (kA + 3)) * x : (3 * kA * x - 10 * kA) * x + 8 * kA;
    return d < 0 ? -slope : slope;
  }
};

struct Sampling {
  Sampler sampler;
  int64_t batch = 0;
  int64_t channels = 0;
  std::vector<int64_t> sizes;  // Of x's spatial axes.
  int64_t plane = 1;           // Their product.
  int64_t positions = 1;       // Of y, for each channel.

  size_t axes() const { return sizes.size(); }

  // Calls f(offset in a plane, weight, slopes by the numbers of the grid at `at`).
  template <typename F>
  void ForEachTap(const double* at, F f) const {
    std::vector<std::vector<Tap>> taps;
    for (size_t a = 0; a < axes(); ++a) {  // The grid has the last axis first.
      taps.push_back(sampler.Taps(at[axes() - 1 - a], sizes[a]));
      if (taps.back().empty()) return;
    }
    std::vector<size_t> chosen(axes(), 0);
    for (bool more = true; more;) {
      int64_t offset = 0;
      double weight = 1;
      std::array<double, 3> slopes = {1, 1, 1};
      for (size_t a = 0; a < axes(); ++a) {
        const Tap& tap = taps[a][chosen[a]];
        offset = offset * sizes[a] + tap.index;
        weight *= tap.weight;
        for (size_t by = 0; by < axes(); ++by) slopes[by] *= by == a ? tap.slope : tap.weight;
      }
      f(offset, weight, slopes);
      more = false;
      for (size_t a = axes(); !more && a-- > 0;) {
        more = ++chosen[a] < taps[a].size();
        if (!more) chosen[a] = 0;
      }
    }
  }
};

// For x of shape `x`, y of shape `y` and the grid, input `grid`.
Sampling ReadSampling(LaunchCheck& check, const Shape& x, const Shape& y, size_t grid) {
  Sampling s;
  s.sampler = {std::string(check.String("mode", "linear")),
               std::string(check.String("padding_mode", "zeros")), check.Flag("align_corners")};
  const int rank = x.rank();
  const Shape& positions = check.input(grid);
  bool fits = rank >= 3 && rank <= 5 && y.rank() == rank && positions.rank() == rank;
  fits = fits && y[0] == x[0] && y[1] == x[1] && positions[0] == x[0] &&
         positions[rank - 1] == rank - 2;
  for (int a = 2; fits && a < rank; ++a) {
    fits = positions[a - 1] == y[a] && x[a] > 0;
    s.sizes.push_back(x[a]);
    s.plane *= x[a];
    s.positions *= y[a];
  }
  check.Require(fits, "the grid does not lead from one tensor to the other");
  const bool known =
      (s.sampler.mode == "linear" || s.sampler.mode == "nearest" || s.sampler.mode == "cubic") &&
      (s.sampler.padding == "zeros" || s.sampler.padding == "border" ||
       s.sampler.padding == "reflection");
  check.Require(known, "has an unknown mode or padding_mode");
  if (fits) {
    s.batch = x[0];
    s.channels = x[1];
  }
  return s;
}

// Calls f(plane of x, element of y, element of the grid) for all of them.
template <typename F>
void ForEachResult(const Sampling& s, F f) {
  const auto axes = static_cast<int64_t>(s.axes());
  for (int64_t n = 0; n < s.batch; ++n) {
    for (int64_t c = 0; c < s.channels; ++c) {
      for (int64_t p = 0; p < s.positions; ++p) {
        const int64_t plane = n * s.channels + c;
        f(plane * s.plane, plane * s.positions + p, (n * s.positions + p) * axes);
      }
    }
  }
}

}  // namespace

KernelResult CompileGridSample(const LaunchSpec& launch) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("FF", "F"));
  const Sampling s = ReadSampling(check, check.input(0), check.output(0), 1);
  WSI_RETURN_IF_ERROR(check.status());
  return MakeKernel([s](const LaunchArguments& arguments) {
    const double* x = arguments.input<double>(0);
    double* y = arguments.output<double>(0);
    ForEachResult(s, [&](int64_t plane, int64_t result, int64_t at) {
      y[result] = 0;
      s.ForEachTap(arguments.input<double>(1) + at, [&](int64_t offset, double weight, auto&) {
        y[result] += weight * x[plane + offset];
      });
    });
  });
}

KernelResult CompileGridSampleGrad(const LaunchSpec& launch) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("FF", "F"));
  const Sampling s = ReadSampling(check, check.output(0), check.input(0), 1);
  WSI_RETURN_IF_ERROR(check.status());
  return MakeKernel([s](const LaunchArguments& arguments) {
    const double* dy = arguments.input<double>(0);
    double* dx = arguments.output<double>(0);
    std::fill_n(dx, s.batch * s.channels * s.plane, 0.0);
    ForEachResult(s, [&](int64_t plane, int64_t result, int64_t at) {
      s.ForEachTap(arguments.input<double>(1) + at, [&](int64_t offset, double weight, auto&) {
        dx[plane + offset] += weight * dy[result];
      });
    });
  });
}

KernelResult CompileGridSampleGridGrad(const LaunchSpec& launch) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("FFF", "F"));
  check.OutputIs(0, check.input(2));
  const Sampling s = ReadSampling(check, check.input(1), check.input(0), 2);
  WSI_RETURN_IF_ERROR(check.status());
  return MakeKernel([s](const LaunchArguments& arguments) {
    const double* dy = arguments.input<double>(0);
    const double* x = arguments.input<double>(1);
    double* dgrid = arguments.output<double>(0);
    const size_t axes = s.axes();
    std::fill_n(dgrid, s.batch * s.positions * static_cast<int64_t>(axes), 0.0);
    ForEachResult(s, [&](int64_t plane, int64_t result, int64_t at) {
      s.ForEachTap(arguments.input<double>(2) + at,
                   [&](int64_t offset, double, const std::array<double, 3>& slopes) {
                     for (size_t a = 0; a < axes; ++a) {
                       dgrid[at + static_cast<int64_t>(axes - 1 - a)] +=
                           dy[result] * x[plane + offset] * slopes[a];
                     }
                   });
    });
  });
}

}  // namespace wsi::reference
