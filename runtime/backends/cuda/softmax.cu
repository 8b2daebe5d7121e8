// Softmax along an axis, its logarithm and their gradients.
#include "runtime/backends/cuda/kernels.h"
#include "runtime/backends/cuda/lines.cuh"

namespace wsi::cuda {
namespace {

template <typename Threads, typename T>
__global__ void SoftmaxKernel(Rows rows, bool log, const T* x, T* y) {
  using C = Computed<T>;
  const int64_t stride = rows.inner_count;
  for (int64_t r = Threads::row(); r < rows.outer_count * stride; r += Threads::rows()) {
    const int64_t start = StartOf(rows, r);
    C largest = -std::numeric_limits<C>::infinity();
    for (int64_t j = Threads::first(); j < rows.length; j += Threads::step()) {
      const C v = Load(x[start + j * stride]);
      largest = v > largest ? v : largest;
    }
    largest = Threads::Largest(largest);
    double sum = 0;
    for (int64_t j = Threads::first(); j < rows.length; j += Threads::step()) {
      sum += static_cast<double>(exp(Load(x[start + j * stride]) - largest));
    }
    sum = Threads::Sum(sum);
    const C total = static_cast<C>(::log(sum));
    const C scale = static_cast<C>(1 / sum);
    for (int64_t j = Threads::first(); j < rows.length; j += Threads::step()) {
      const int64_t at = start + j * stride;
      const C v = Load(x[at]) - largest;
      Store(log ? v - total : exp(v) * scale, y[at]);
    }
  }
}

// Softmax: y * (dy - sum(dy * y)); its logarithm: dy - exp(y) * sum(dy).
template <typename Threads, typename T>
__global__ void SoftmaxGradKernel(Rows rows, bool log, const T* dy, const T* y, T* dx) {
  using C = Computed<T>;
  const int64_t stride = rows.inner_count;
  for (int64_t r = Threads::row(); r < rows.outer_count * stride; r += Threads::rows()) {
    const int64_t start = StartOf(rows, r);
    double partial = 0;
    for (int64_t j = Threads::first(); j < rows.length; j += Threads::step()) {
      const int64_t at = start + j * stride;
      const C d = Load(dy[at]);
      partial += static_cast<double>(log ? d : d * Load(y[at]));
    }
    const C sum = static_cast<C>(Threads::Sum(partial));
    for (int64_t j = Threads::first(); j < rows.length; j += Threads::step()) {
      const int64_t at = start + j * stride;
      const C d = Load(dy[at]);
      const C v = Load(y[at]);
      Store(log ? d - exp(v) * sum : v * (d - sum), dx[at]);
    }
  }
}

}  // namespace

KernelResult CompileSoftmax(const LaunchSpec& launch, Context& context) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("F", "F"));
  const int axis = check.Axis("axis", check.input(0).rank());
  check.OutputIs(0, check.input(0));
  check.OutputIs(0, check.input_type(0));
  WSI_RETURN_IF_ERROR(check.status());
  const Rows rows = RowsAlong(check.input(0), axis);
  const bool log = launch.op == "LogSoftmax";
  return ForFloat(launch, check.input_type(0), [&]<typename T>(std::type_identity<T>) {
    return MakeKernel([=, &context](const LaunchArguments& a) {
      WithThreads(rows, [&](auto threads, unsigned grid, unsigned block) {
        SoftmaxKernel<decltype(threads), T>
            <<<grid, block, 0, context.stream>>>(rows, log, a.input<T>(0), a.output<T>(0));
      });
      return LaunchStatus();
    });
  });
}

KernelResult CompileSoftmaxGrad(const LaunchSpec& launch, Context& context) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("FF", "F"));
  const int axis = check.Axis("axis", check.input(0).rank());
  check.InputIs(1, check.input(0));
  check.InputIs(1, check.input_type(0));
  check.OutputIs(0, check.input(0));
  check.OutputIs(0, check.input_type(0));
  WSI_RETURN_IF_ERROR(check.status());
  const Rows rows = RowsAlong(check.input(0), axis);
  const bool log = launch.op == "LogSoftmaxGrad";
  return ForFloat(launch, check.input_type(0), [&]<typename T>(std::type_identity<T>) {
    return MakeKernel([=, &context](const LaunchArguments& a) {
      WithThreads(rows, [&](auto threads, unsigned grid, unsigned block) {
        SoftmaxGradKernel<decltype(threads), T><<<grid, block, 0, context.stream>>>(
            rows, log, a.input<T>(0), a.input<T>(1), a.output<T>(0));
      });
      return LaunchStatus();
    });
  });
}

}  // namespace wsi::cuda
