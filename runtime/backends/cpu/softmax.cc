#include "runtime/backends/cpu/softmax.h"

#include <algorithm>
#include <cmath>
#include <limits>

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

template <typename T>
KernelResult CompileSoftmaxOf(const LaunchSpec& launch, Context& context) {
  WSI_RETURN_IF_ERROR(ExpectOperands(launch, 1, 1, 1, 1));
  const Shape& shape = launch.inputs[0].shape;
  WSI_RETURN_IF_ERROR(ExpectOutput(launch, 0, launch.inputs[0].dtype, shape));
  WSI_ASSIGN_OR_RETURN(const Lines lines, MakeLines(launch, shape));
  const bool logarithm = launch.op == "LogSoftmax";
  const Chunks chunks = ChunksOf(lines.count, lines.size * 8, kGrain);
  return MakeKernel([lines, logarithm, chunks, &context](const LaunchArguments& a) {
    ForChunks(context.pool, chunks, [&](int64_t begin, int64_t end, int64_t, int) {
      for (int64_t l = begin; l < end; ++l) {
        const T* x = a.input<T>(0) + lines.Start(l);
        T* y = a.output<T>(0) + lines.Start(l);
        Computed<T> highest = -std::numeric_limits<Computed<T>>::infinity();
        for (int64_t i = 0; i < lines.size; ++i) {
          highest = std::max(highest, Load(x[i * lines.stride]));
        }
        double total = 0;
        for (int64_t i = 0; i < lines.size; ++i) {
          total += std::exp(static_cast<double>(Load(x[i * lines.stride]) - highest));
        }
        const double shift = static_cast<double>(highest) + std::log(total);
        for (int64_t i = 0; i < lines.size; ++i) {
          const double v = static_cast<double>(Load(x[i * lines.stride])) - shift;
          Store(static_cast<Computed<T>>(logarithm ? v : std::exp(v)), y[i * lines.stride]);
        }
      }
    });
  });
}

// dx = y * (dy - sum(dy * y)); of the logarithm, dx = dy - exp(y) * sum(dy).
template <typename T>
KernelResult CompileSoftmaxGradOf(const LaunchSpec& launch, Context& context) {
  WSI_RETURN_IF_ERROR(ExpectOperands(launch, 2, 2, 1, 1));
  const Shape& shape = launch.inputs[0].shape;
  WSI_RETURN_IF_ERROR(ExpectInput(launch, 1, launch.inputs[0].dtype, shape));
  WSI_RETURN_IF_ERROR(ExpectOutput(launch, 0, launch.inputs[0].dtype, shape));
  WSI_ASSIGN_OR_RETURN(const Lines lines, MakeLines(launch, shape));
  const bool logarithm = launch.op == "LogSoftmaxGrad";
  const Chunks chunks = ChunksOf(lines.count, lines.size * 8, kGrain);
  return MakeKernel([lines, logarithm, chunks, &context](const LaunchArguments& a) {
    ForChunks(context.pool, chunks, [&](int64_t begin, int64_t end, int64_t, int) {
      for (int64_t l = begin; l < end; ++l) {
        const T* dy = a.input<T>(0) + lines.Start(l);
        const T* y = a.input<T>(1) + lines.Start(l);
        T* dx = a.output<T>(0) + lines.Start(l);
        double total = 0;
        for (int64_t i = 0; i < lines.size; ++i) {
          const double g = static_cast<double>(Load(dy[i * lines.stride]));
          total += logarithm ? g : g * static_cast<double>(Load(y[i * lines.stride]));
        }
        for (int64_t i = 0; i < lines.size; ++i) {
          const double g = static_cast<double>(Load(dy[i * lines.stride]));
          const double v = static_cast<double>(Load(y[i * lines.stride]));
          const double result = logarithm ? g - std::exp(v) * total : v * (g - total);
          Store(static_cast<Computed<T>>(result), dx[i * lines.stride]);
        }
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
