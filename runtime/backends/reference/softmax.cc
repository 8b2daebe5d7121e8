// Softmax along an axis, its logarithm and their gradients.
#include <cmath>

#include "runtime/backends/reference/kernels.h"
#include "runtime/backends/reference/launch_check.h"
#include "runtime/backends/reference/log_softmax.h"

namespace wsi::reference {

KernelResult CompileSoftmax(const LaunchSpec& launch) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("F", "F"));
  const int axis = check.Axis("axis", check.input(0).rank());
  check.OutputIs(0, check.input(0));
  WSI_RETURN_IF_ERROR(check.status());
  const Rows rows = RowsAlong(check.input(0), axis);
  return MakeKernel([rows, log = launch.op == "LogSoftmax"](const LaunchArguments& arguments) {
    const double* x = arguments.input<double>(0);
    double* y = arguments.output<double>(0);
    ForEachRow(rows, [&](int64_t, int64_t first) {
      const double total = LogSumExp(rows, x, first);
      for (int64_t j = 0; j < rows.length; ++j) {
        const int64_t at = first + j * rows.inner_count;
        y[at] = log ? x[at] - total : std::exp(x[at] - total);
      }
    });
  });
}

// Softmax: y * (dy - sum(dy * y)); its logarithm: dy - exp(y) * sum(dy).
KernelResult CompileSoftmaxGrad(const LaunchSpec& launch) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("FF", "F"));
  const int axis = check.Axis("axis", check.input(0).rank());
  check.InputIs(1, check.input(0));
  check.OutputIs(0, check.input(0));
  WSI_RETURN_IF_ERROR(check.status());
  const Rows rows = RowsAlong(check.input(0), axis);
  return MakeKernel([rows, log = launch.op == "LogSoftmaxGrad"](const LaunchArguments& arguments) {
    const double* dy = arguments.input<double>(0);
    const double* y = arguments.input<double>(1);
    double* dx = arguments.output<double>(0);
    ForEachRow(rows, [&](int64_t, int64_t first) {
      double sum = 0;
      for (int64_t j = 0; j < rows.length; ++j) {
        const int64_t at = first + j * rows.inner_count;
        sum += log ? dy[at] : dy[at] * y[at];
      }
      for (int64_t j = 0; j < rows.length; ++j) {
        const int64_t at = first + j * rows.inner_count;
        dx[at] = log ? dy[at] - std::exp(y[at]) * sum : y[at] * (dy[at] - sum);
      }
    });
  });
}

}  // namespace wsi::reference
