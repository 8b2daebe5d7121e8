// Pooling over windows, channels last.
#include <algorithm>
#include <cmath>
#include <limits>

#include "runtime/backends/reference/kernels.h"
#include "runtime/backends/reference/launch_check.h"
#include "runtime/backends/window.h"
#include "runtime/base/band.h"

namespace wsi::reference {
namespace {

constexpr int64_t kByteWindows = 256;  // Up to here a window position fits u8.

Window ReadPool(LaunchCheck& check, const Shape& x, const Shape& y) {
  const Window w = ReadWindow(check, x, y);
  check.Require(w.in_channels == w.out_channels, "input and output differ in channels");
  check.Require(w.KernelPositions() <= std::numeric_limits<int32_t>::max(),
                "the window is too large");
  return w;
}

DType IndexType(const Window& w) {
  return w.KernelPositions() <= kByteWindows ? DType::kU8 : DType::kI32;
}

// Calls f(n, output, flat output position) for every window.
template <typename F>
void ForEachWindow(const Window& w, F f) {
  for (int64_t n = 0; n < w.batch; ++n) {
    ForEachIndex(w.out, [&](const Index3& o) { f(n, o, n * w.OutPositions() + Flat(o, w.out)); });
  }
}

int64_t InPosition(const Window& w, int64_t n, const Index3& i) {
  return n * w.InPositions() + Flat(i, w.in);
}

struct Best {
  double value = -std::numeric_limits<double>::infinity();
  int64_t index = 0;
  bool found = false;
};

// NaN wins; the first of equal ones wins.
void Offer(Best& best, double value, int64_t index) {
  if (best.found && !(value > best.value) && !(std::isnan(value) && !std::isnan(best.value))) {
    return;
  }
  best = {value, index, true};
}

// What AveragePool divides by: taps inside the image, or inside its padding too.
double Divisor(const Window& w, const Index3& o, bool include_pad) {
  int64_t taps = 0;
  ForEachIndex(w.kernel, [&](const Index3& k) {
    Index3 i;
    const bool inside = w.Tap(o, k, i);
    if (inside || (include_pad && w.InPadded(i))) ++taps;
  });
  return static_cast<double>(std::max<int64_t>(taps, 1));
}

// The windows over `band` as windows over the whole, whose divisors they have.
Window InWhole(Window w, const BandOfWhole& band, int rank) {
  if (band.is_whole() || band.axis() < 1 || band.axis() >= rank - 1) return w;
  const auto a = static_cast<size_t>(3 - (rank - 2) + band.axis() - 1);
  w.in[a] = band.size();
  w.pad_begin[a] -= band.begin();
  return w;
}

}  // namespace

KernelResult CompileMaxPool(const LaunchSpec& launch) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("F", "Fx"));
  const Window w = ReadPool(check, check.input(0), check.output(0));
  check.OutputIs(1, check.output(0));
  check.OutputIs(1, IndexType(w));
  WSI_RETURN_IF_ERROR(check.status());
  return MakeKernel([w](const LaunchArguments& arguments) {
    const double* x = arguments.input<double>(0);
    double* y = arguments.output<double>(0);
    auto* bytes = IndexType(w) == DType::kU8 ? arguments.output<uint8_t>(1) : nullptr;
    auto* words = IndexType(w) == DType::kI32 ? arguments.output<int32_t>(1) : nullptr;
    ForEachWindow(w, [&](int64_t n, const Index3& o, int64_t out) {
      for (int64_t c = 0; c < w.in_channels; ++c) {
        Best best;
        ForEachIndex(w.kernel, [&](const Index3& k) {
          Index3 i;
          if (!w.Tap(o, k, i)) return;
          Offer(best, x[InPosition(w, n, i) * w.in_channels + c], Flat(k, w.kernel));
        });
        const int64_t at = out * w.in_channels + c;
        y[at] = best.value;
        if (bytes != nullptr) bytes[at] = static_cast<uint8_t>(best.index);
        if (words != nullptr) words[at] = static_cast<int32_t>(best.index);
      }
    });
  });
}

KernelResult CompileMaxPoolGrad(const LaunchSpec& launch) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("FX", "F"));
  const Window w = ReadPool(check, check.output(0), check.input(0));
  check.InputIs(1, check.input(0));
  check.InputIs(1, IndexType(w));
  check.OutputIs(0, ReadInputShape(check, check.output(0).rank()));
  WSI_RETURN_IF_ERROR(check.status());
  return MakeKernel([w](const LaunchArguments& arguments) {
    const double* dy = arguments.input<double>(0);
    double* dx = arguments.output<double>(0);
    const bool is_byte = IndexType(w) == DType::kU8;
    std::fill_n(dx, w.batch * w.InPositions() * w.in_channels, 0.0);
    ForEachWindow(w, [&](int64_t n, const Index3& o, int64_t out) {
      for (int64_t c = 0; c < w.in_channels; ++c) {
        const int64_t at = out * w.in_channels + c;
        const int64_t index =
            is_byte ? int64_t{arguments.input<uint8_t>(1)[at]} : arguments.input<int32_t>(1)[at];
        const Index3 k{index / (w.kernel[1] * w.kernel[2]), index / w.kernel[2] % w.kernel[1],
                       index % w.kernel[2]};
        Index3 i;
        if (w.Tap(o, k, i)) dx[InPosition(w, n, i) * w.in_channels + c] += dy[at];
      }
    });
  });
}

KernelResult CompileAveragePool(const LaunchSpec& launch) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("F", "F"));
  const Window w = ReadPool(check, check.input(0), check.output(0));
  const bool include_pad = check.Flag("count_include_pad");
  WSI_RETURN_IF_ERROR(check.status());
  return MakeKernel([w, include_pad](const LaunchArguments& arguments) {
    const double* x = arguments.input<double>(0);
    double* y = arguments.output<double>(0);
    ForEachWindow(w, [&](int64_t n, const Index3& o, int64_t out) {
      const double divisor = Divisor(w, o, include_pad);
      for (int64_t c = 0; c < w.in_channels; ++c) {
        double sum = 0;
        ForEachIndex(w.kernel, [&](const Index3& k) {
          Index3 i;
          if (w.Tap(o, k, i)) sum += x[InPosition(w, n, i) * w.in_channels + c];
        });
        y[out * w.in_channels + c] = sum / divisor;
      }
    });
  });
}

KernelResult CompileAveragePoolGrad(const LaunchSpec& launch) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("F", "F"));
  const Window w = ReadPool(check, check.output(0), check.input(0));
  const bool include_pad = check.Flag("count_include_pad");
  check.OutputIs(0, ReadInputShape(check, check.output(0).rank()));
  WSI_RETURN_IF_ERROR(check.status());
  const Shape& x = check.output(0);
  WSI_ASSIGN_OR_RETURN(const BandOfWhole band, BandOfWhole::Read(launch.attributes, x));
  // A band's pads are positions of the whole, which are counted without padding too.
  const Window counted = include_pad ? w : InWhole(w, band, x.rank());
  return MakeKernel([w, counted, include_pad](const LaunchArguments& arguments) {
    const double* dy = arguments.input<double>(0);
    double* dx = arguments.output<double>(0);
    std::fill_n(dx, w.batch * w.InPositions() * w.in_channels, 0.0);
    ForEachWindow(w, [&](int64_t n, const Index3& o, int64_t out) {
      const double divisor = Divisor(counted, o, include_pad);
      ForEachIndex(w.kernel, [&](const Index3& k) {
        Index3 i;
        if (!w.Tap(o, k, i)) return;
        for (int64_t c = 0; c < w.in_channels; ++c) {
          dx[InPosition(w, n, i) * w.in_channels + c] += dy[out * w.in_channels + c] / divisor;
        }
      });
    });
  });
}

}  // namespace wsi::reference
