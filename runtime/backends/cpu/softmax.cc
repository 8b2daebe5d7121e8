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

}  // namespace

KernelResult CompileSoftmax(const LaunchSpec& launch, Context& context) {
  WSI_RETURN_IF_ERROR(ExpectOperands(launch, 1, 1, 1, 1));
  const Shape& shape = launch.inputs[0].shape;
  WSI_RETURN_IF_ERROR(ExpectInput(launch, 0, DType::kF32));
  WSI_RETURN_IF_ERROR(ExpectOutput(launch, 0, DType::kF32, shape));
  WSI_ASSIGN_OR_RETURN(const Lines lines, MakeLines(launch, shape));
  const bool logarithm = launch.op == "LogSoftmax";
  const Chunks chunks = ChunksOf(lines.count, lines.size * 8, kGrain);
  return MakeKernel([lines, logarithm, chunks, &context](const LaunchArguments& a) {
    ForChunks(context.pool, chunks, [&](int64_t begin, int64_t end, int64_t, int) {
      for (int64_t l = begin; l < end; ++l) {
        const float* x = a.input<float>(0) + lines.Start(l);
        float* y = a.output<float>(0) + lines.Start(l);
        float highest = -std::numeric_limits<float>::infinity();
        for (int64_t i = 0; i < lines.size; ++i) highest = std::max(highest, x[i * lines.stride]);
        double total = 0;
        for (int64_t i = 0; i < lines.size; ++i) {
          total += std::exp(static_cast<double>(x[i * lines.stride] - highest));
        }
        const double shift = static_cast<double>(highest) + std::log(total);
        for (int64_t i = 0; i < lines.size; ++i) {
          const double v = static_cast<double>(x[i * lines.stride]) - shift;
          y[i * lines.stride] = static_cast<float>(logarithm ? v : std::exp(v));
        }
      }
    });
  });
}

// dx = y * (dy - sum(dy * y)); of the logarithm, dx = dy - exp(y) * sum(dy).
KernelResult CompileSoftmaxGrad(const LaunchSpec& launch, Context& context) {
  WSI_RETURN_IF_ERROR(ExpectOperands(launch, 2, 2, 1, 1));
  const Shape& shape = launch.inputs[0].shape;
  WSI_RETURN_IF_ERROR(ExpectInput(launch, 0, DType::kF32));
  WSI_RETURN_IF_ERROR(ExpectInput(launch, 1, DType::kF32, shape));
  WSI_RETURN_IF_ERROR(ExpectOutput(launch, 0, DType::kF32, shape));
  WSI_ASSIGN_OR_RETURN(const Lines lines, MakeLines(launch, shape));
  const bool logarithm = launch.op == "LogSoftmaxGrad";
  const Chunks chunks = ChunksOf(lines.count, lines.size * 8, kGrain);
  return MakeKernel([lines, logarithm, chunks, &context](const LaunchArguments& a) {
    ForChunks(context.pool, chunks, [&](int64_t begin, int64_t end, int64_t, int) {
      for (int64_t l = begin; l < end; ++l) {
        const float* dy = a.input<float>(0) + lines.Start(l);
        const float* y = a.input<float>(1) + lines.Start(l);
        float* dx = a.output<float>(0) + lines.Start(l);
        double total = 0;
        for (int64_t i = 0; i < lines.size; ++i) {
          const double g = static_cast<double>(dy[i * lines.stride]);
          total += logarithm ? g : g * static_cast<double>(y[i * lines.stride]);
        }
        for (int64_t i = 0; i < lines.size; ++i) {
          const double g = static_cast<double>(dy[i * lines.stride]);
          const double v = static_cast<double>(y[i * lines.stride]);
          dx[i * lines.stride] =
              static_cast<float>(logarithm ? g - std::exp(v) * total : v * (g - total));
        }
      }
    });
  });
}

}  // namespace wsi::cpu
