#include "runtime/backends/cpu/softmax.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include "runtime/backends/cpu/loops/softmax_loops.h"

namespace wsi::cpu {
namespace {

// A line is `size` elements `stride` apart; line l starts at Start(l).
struct Lines {
  int64_t count = 0;
  int64_t size = 0;
  int64_t stride = 0;
  int64_t Start(int64_t line) const { return line / stride * stride * size + line % stride; }
};

Result<Lines> MakeLines(const LaunchSpec& launch, const Shape& x) {
  WSI_ASSIGN_OR_RETURN(const int axis, NormalizeAxis(launch.attributes.Int("axis", -1), x.rank()));
  Lines lines{.size = x[axis], .stride = 1};
  for (int a = axis + 1; a < x.rank(); ++a) lines.stride *= x[a];
  lines.count = x.ElementCount() == 0 ? 0 : x.ElementCount() / lines.size;
  return lines;
}

// fp64 goes element by element.
void SoftmaxLine(const double* x, int64_t n, int64_t stride, bool logarithm, double* y) {
  double highest = -std::numeric_limits<double>::infinity();
  for (int64_t i = 0; i < n; ++i) highest = std::max(highest, x[i * stride]);
  double total = 0;
  for (int64_t i = 0; i < n; ++i) total += std::exp(x[i * stride] - highest);
  const double shift = highest + std::log(total);
  for (int64_t i = 0; i < n; ++i) {
    const double v = x[i * stride] - shift;
    y[i * stride] = logarithm ? v : std::exp(v);
  }
}

void SoftmaxGradLine(const double* dy, const double* y, int64_t n, int64_t stride, bool logarithm,
                     double* dx) {
  double total = 0;
  for (int64_t i = 0; i < n; ++i) total += dy[i * stride] * (logarithm ? 1.0 : y[i * stride]);
  for (int64_t i = 0; i < n; ++i) {
    const double g = dy[i * stride];
    const double v = y[i * stride];
    dx[i * stride] = logarithm ? g - std::exp(v) * total : v * (g - total);
  }
}

// Calls run(first element, lines side by side) for all lines, in parallel. One loop takes
// all lines of a piece.
template <typename F>
void ForLines(Context& context, const Lines& lines, const F& run) {
  const int64_t width = std::min(lines.stride, kSoftmaxColumns);
  const int64_t pieces = CeilDiv(lines.stride, width);
  const int64_t outer = lines.count / lines.stride;
  const Chunks chunks = ChunksOf(outer * pieces, lines.size * width * 8, kGrain);
  ForChunks(context.pool, chunks, [&](int64_t begin, int64_t end, int64_t, int) {
    for (int64_t piece = begin; piece < end; ++piece) {
      const int64_t column = piece % pieces * width;
      run(lines.Start(piece / pieces * lines.stride + column),
          std::min(width, lines.stride - column));
    }
  });
}

template <typename T>
KernelResult CompileSoftmaxOf(const LaunchSpec& launch, Context& context) {
  WSI_RETURN_IF_ERROR(ExpectOperands(launch, 1, 1, 1, 1));
  const Shape& shape = launch.inputs[0].shape;
  WSI_RETURN_IF_ERROR(ExpectOutput(launch, 0, launch.inputs[0].dtype, shape));
  WSI_ASSIGN_OR_RETURN(const Lines lines, MakeLines(launch, shape));
  const bool logarithm = launch.op == "LogSoftmax";
  return MakeKernel([lines, logarithm, &context](const LaunchArguments& a) {
    ForLines(context, lines, [&](int64_t start, int64_t width) {
      const T* x = a.input<T>(0) + start;
      T* y = a.output<T>(0) + start;
      if constexpr (std::is_same_v<T, double>) {
        for (int64_t j = 0; j < width; ++j) {
          SoftmaxLine(x + j, lines.size, lines.stride, logarithm, y + j);
        }
      } else if (lines.stride == 1) {
        GetSoftmaxLoops().Of<T>().line(x, lines.size, logarithm, y);
      } else {
        GetSoftmaxLoops().Of<T>().columns(x, lines.size, lines.stride, width, logarithm, y);
      }
    });
  });
}

template <typename T>
KernelResult CompileSoftmaxGradOf(const LaunchSpec& launch, Context& context) {
  WSI_RETURN_IF_ERROR(ExpectOperands(launch, 2, 2, 1, 1));
  const Shape& shape = launch.inputs[0].shape;
  WSI_RETURN_IF_ERROR(ExpectInput(launch, 1, launch.inputs[0].dtype, shape));
  WSI_RETURN_IF_ERROR(ExpectOutput(launch, 0, launch.inputs[0].dtype, shape));
  WSI_ASSIGN_OR_RETURN(const Lines lines, MakeLines(launch, shape));
  const bool logarithm = launch.op == "LogSoftmaxGrad";
  return MakeKernel([lines, logarithm, &context](const LaunchArguments& a) {
    ForLines(context, lines, [&](int64_t start, int64_t width) {
      const T* dy = a.input<T>(0) + start;
      const T* y = a.input<T>(1) + start;
      T* dx = a.output<T>(0) + start;
      if constexpr (std::is_same_v<T, double>) {
        for (int64_t j = 0; j < width; ++j) {
          SoftmaxGradLine(dy + j, y + j, lines.size, lines.stride, logarithm, dx + j);
        }
      } else if (lines.stride == 1) {
        GetSoftmaxLoops().Of<T>().grad_line(dy, y, lines.size, logarithm, dx);
      } else {
        GetSoftmaxLoops().Of<T>().grad_columns(dy, y, lines.size, lines.stride, width, logarithm,
                                               dx);
      }
    });
  });
}

}  // namespace

KernelResult CompileSoftmax(const LaunchSpec& launch, Context& context) {
  return WSI_BY_FLOAT(CompileSoftmaxOf);
}
KernelResult CompileSoftmaxGrad(const LaunchSpec& launch, Context& context) {
  return WSI_BY_FLOAT(CompileSoftmaxGradOf);
}

}  // namespace wsi::cpu
