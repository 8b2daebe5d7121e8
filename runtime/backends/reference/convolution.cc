// Convolution in its direct form, channels last: x[n, i, c], w[o, k, c of its group],
// y[n, p, o], with i, k and p spatial positions in row-major order.
#include <algorithm>

#include "runtime/backends/reference/kernels.h"
#include "runtime/backends/reference/launch_check.h"
#include "runtime/backends/window.h"

namespace wsi::reference {
namespace {

struct Convolution {
  Window window;
  int64_t group = 1;
  int64_t in_group() const { return window.in_channels / group; }
  int64_t out_group() const { return window.out_channels / group; }
};

Convolution ReadConvolution(LaunchCheck& check, const Shape& x, const Shape& w, const Shape& y) {
  Convolution c{ReadWindow(check, x, y)};
  if (!check.status().ok()) return c;
  c.group = check.Int("group", 1, std::max<int64_t>(c.window.in_channels, 1), 1);
  check.Require(c.window.in_channels % c.group == 0 && c.window.out_channels % c.group == 0,
                "group does not divide the channels");
  bool fits = w.rank() == x.rank() && w[0] == y[-1] && w[-1] == c.in_group();
  for (int a = 1; fits && a < x.rank() - 1; ++a) {
    fits = w[a] == c.window.kernel[static_cast<size_t>(a + 4 - x.rank())];
  }
  check.Require(fits, "the weight's shape is not [O, kernel_shape, I / group]");
  return c;
}

// Calls f(x position, w position, y position) for each batch, output, tap inside
// the image and group: positions of the first channel of the group.
template <typename F>
void ForEachTap(const Convolution& c, F f) {
  const Window& w = c.window;
  for (int64_t n = 0; n < w.batch; ++n) {
    ForEachIndex(w.out, [&](const Index3& o) {
      const int64_t y = (n * w.OutPositions() + Flat(o, w.out)) * w.out_channels;
      ForEachIndex(w.kernel, [&](const Index3& k) {
        Index3 i;
        if (!w.Tap(o, k, i)) return;
        const int64_t x = (n * w.InPositions() + Flat(i, w.in)) * w.in_channels;
        for (int64_t g = 0; g < c.group; ++g) {
          const int64_t first = g * c.out_group() * w.KernelPositions() + Flat(k, w.kernel);
          f(x + g * c.in_group(), first * c.in_group(), y + g * c.out_group());
        }
      });
    });
  }
}

}  // namespace

KernelResult CompileConv(const LaunchSpec& launch) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("FFf", "F"));
  const Convolution c = ReadConvolution(check, check.input(0), check.input(1), check.output(0));
  check.PerChannel(2, 2, c.window.out_channels);
  WSI_RETURN_IF_ERROR(check.status());
  return MakeKernel([c](const LaunchArguments& arguments) {
    const double* x = arguments.input<double>(0);
    const double* w = arguments.input<double>(1);
    const double* b = arguments.input<double>(2);
    double* y = arguments.output<double>(0);
    const int64_t channels = c.window.out_channels;
    const int64_t count = c.window.batch * c.window.OutPositions() * channels;
    for (int64_t i = 0; i < count; ++i) y[i] = b != nullptr ? b[i % channels] : 0;
    const int64_t weights = c.window.KernelPositions() * c.in_group();  // Of one output channel.
    ForEachTap(c, [&](int64_t at_x, int64_t at_w, int64_t at_y) {
      for (int64_t o = 0; o < c.out_group(); ++o) {
        double sum = 0;
        for (int64_t i = 0; i < c.in_group(); ++i) sum += x[at_x + i] * w[at_w + o * weights + i];
        y[at_y + o] += sum;
      }
    });
  });
}

namespace {

// Inputs: dy, w; output: dx.
KernelResult SpreadKernel(const Convolution& c) {
  return MakeKernel([c](const LaunchArguments& arguments) {
    const double* dy = arguments.input<double>(0);
    const double* w = arguments.input<double>(1);
    double* dx = arguments.output<double>(0);
    std::fill_n(dx, c.window.batch * c.window.InPositions() * c.window.in_channels, 0.0);
    const int64_t weights = c.window.KernelPositions() * c.in_group();
    ForEachTap(c, [&](int64_t at_x, int64_t at_w, int64_t at_y) {
      for (int64_t o = 0; o < c.out_group(); ++o) {
        const double d = dy[at_y + o];
        for (int64_t i = 0; i < c.in_group(); ++i) dx[at_x + i] += d * w[at_w + o * weights + i];
      }
    });
  });
}

}  // namespace

KernelResult CompileConvInputGrad(const LaunchSpec& launch) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("FF", "F"));
  const Convolution c = ReadConvolution(check, check.output(0), check.input(1), check.input(0));
  check.OutputIs(0, ReadInputShape(check, check.output(0).rank()));
  WSI_RETURN_IF_ERROR(check.status());
  return SpreadKernel(c);
}

KernelResult CompileConvTranspose(const LaunchSpec& launch) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("FF", "F"));
  const Convolution c = ReadConvolution(check, check.output(0), check.input(1), check.input(0));
  WSI_RETURN_IF_ERROR(check.status());
  return SpreadKernel(c);
}

KernelResult CompileConvWeightGrad(const LaunchSpec& launch) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("FF", "F"));
  const Convolution c = ReadConvolution(check, check.input(0), check.output(0), check.input(1));
  WSI_RETURN_IF_ERROR(check.status());
  return MakeKernel([c](const LaunchArguments& arguments) {
    const double* x = arguments.input<double>(0);
    const double* dy = arguments.input<double>(1);
    double* dw = arguments.output<double>(0);
    const int64_t weights = c.window.KernelPositions() * c.in_group();
    std::fill_n(dw, c.window.out_channels * weights, 0.0);
    ForEachTap(c, [&](int64_t at_x, int64_t at_w, int64_t at_y) {
      for (int64_t o = 0; o < c.out_group(); ++o) {
        const double d = dy[at_y + o];
        for (int64_t i = 0; i < c.in_group(); ++i) dw[at_w + o * weights + i] += d * x[at_x + i];
      }
    });
  });
}

}  // namespace wsi::reference
