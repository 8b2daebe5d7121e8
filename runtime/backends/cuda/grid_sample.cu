// GridSample and its gradient by the grid.
#include "runtime/backends/cuda/grid_sampling.cuh"
#include "runtime/backends/cuda/kernels.h"

namespace wsi::cuda {
namespace {

template <typename T>
__global__ void SampleKernel(Sampling s, const T* x, const T* grid, T* y) {
  const int64_t count = s.batch * s.channels * s.positions;
  for (int64_t i = FirstItem(); i < count; i += ItemStride()) {
    const int64_t plane = i / s.positions;
    const int64_t at = (plane / s.channels * s.positions + i % s.positions) * s.axes;
    double sum = 0;
    s.ForTaps(grid + at, [&](int64_t offset, double weight, const double(&)[3]) {
      sum += weight * static_cast<double>(Load(x[plane * s.plane + offset]));
    });
    Store(sum, y[i]);
  }
}

template <typename T>
__global__ void GridGradKernel(Sampling s, const T* dy, const T* x, const T* grid, T* dgrid) {
  for (int64_t i = FirstItem(); i < s.batch * s.positions; i += ItemStride()) {
    const int64_t n = i / s.positions;
    double sums[3] = {};
    s.ForTaps(grid + i * s.axes, [&](int64_t offset, double, const double(&slopes)[3]) {
      double product = 0;
      for (int64_t c = 0; c < s.channels; ++c) {
        const int64_t plane = n * s.channels + c;
        const double d = static_cast<double>(Load(dy[plane * s.positions + i % s.positions]));
        product += d * static_cast<double>(Load(x[plane * s.plane + offset]));
      }
      for (int a = 0; a < 3; ++a) sums[a] += product * slopes[a];
    });
    for (int a = 3 - s.axes; a < 3; ++a) Store(sums[a], dgrid[i * s.axes + 2 - a]);
  }
}

}  // namespace

KernelResult CompileGridSample(const LaunchSpec& launch, Context& context) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("FF", "F"));
  const Sampling s = ReadSampling(check, check.input(0), check.output(0), 1);
  SameTypes(launch, check);
  WSI_RETURN_IF_ERROR(check.status());
  const int64_t count = check.output(0).ElementCount();
  return ForFloat(launch, check.input_type(0), [&]<typename T>(std::type_identity<T>) {
    return MakeKernel([=, &context](const LaunchArguments& a) {
      SampleKernel<T><<<GridFor(count), kThreads, 0, context.stream>>>(
          s, a.input<T>(0), a.input<T>(1), a.output<T>(0));
      return LaunchStatus();
    });
  });
}

KernelResult CompileGridSampleGridGrad(const LaunchSpec& launch, Context& context) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("FFF", "F"));
  check.OutputIs(0, check.input(2));
  const Sampling s = ReadSampling(check, check.input(1), check.input(0), 2);
  SameTypes(launch, check);
  WSI_RETURN_IF_ERROR(check.status());
  return ForFloat(launch, check.input_type(0), [&]<typename T>(std::type_identity<T>) {
    return MakeKernel([=, &context](const LaunchArguments& a) {
      GridGradKernel<T><<<GridFor(s.batch * s.positions), kThreads, 0, context.stream>>>(
          s, a.input<T>(0), a.input<T>(1), a.input<T>(2), a.output<T>(0));
      return LaunchStatus();
    });
  });
}

}  // namespace wsi::cuda
