// Layer and root mean square normalization over the axes from attribute axis on.
#include <algorithm>
#include <cmath>

#include "runtime/backends/reference/kernels.h"
#include "runtime/backends/reference/launch_check.h"

namespace wsi::reference {
namespace {

struct NormRows {
  int64_t count = 1;
  int64_t length = 1;
  bool centered = true;
  Shape elements;
  Shape statistics;
};

NormRows ReadRows(LaunchCheck& check, const Shape& x, std::string_view op) {
  NormRows rows;
  rows.centered = op.starts_with("Layer");
  const int axis = check.Axis("axis", x.rank());
  if (!check.status().ok()) return rows;
  std::vector<int64_t> statistics(x.begin(), x.end());
  std::fill(statistics.begin() + axis, statistics.end(), 1);
  rows.elements = Shape::Make(x.sizes().subspan(static_cast<size_t>(axis))).value();
  rows.statistics = Shape::Make(statistics).value();
  rows.length = rows.elements.ElementCount();
  rows.count = rows.statistics.ElementCount();
  return rows;
}

}  // namespace

KernelResult CompileRowNorm(const LaunchSpec& launch) {
  LaunchCheck check(launch);
  const bool layer = launch.op.starts_with("Layer");
  WSI_RETURN_IF_ERROR(layer ? check.Operands("FFf", "Fff") : check.Operands("FF", "Ff"));
  const NormRows rows = ReadRows(check, check.input(0), launch.op);
  const double epsilon = check.Float("epsilon", 1e-5);
  for (size_t i = 1; i <= 2; ++i) {
    check.InputIs(i, rows.elements);
    check.OutputIs(i, rows.statistics);
  }
  check.OutputIs(0, check.input(0));
  WSI_RETURN_IF_ERROR(check.status());
  return MakeKernel([rows, epsilon](const LaunchArguments& arguments) {
    const auto n = static_cast<double>(rows.length);
    for (int64_t r = 0; r < rows.count; ++r) {
      const double* x = arguments.input<double>(0) + r * rows.length;
      const double* bias = arguments.input<double>(2);
      double* y = arguments.output<double>(0) + r * rows.length;
      double mean = 0;
      for (int64_t i = 0; rows.centered && i < rows.length; ++i) mean += x[i] / n;
      double variance = 0;
      for (int64_t i = 0; i < rows.length; ++i) variance += (x[i] - mean) * (x[i] - mean) / n;
      const double inverse = 1 / std::sqrt(variance + epsilon);
      for (int64_t i = 0; i < rows.length; ++i) {
        y[i] = (x[i] - mean) * inverse * arguments.input<double>(1)[i];
        if (bias != nullptr) y[i] += bias[i];
      }
      if (double* out = arguments.output<double>(rows.centered ? 2 : 1)) out[r] = inverse;
      if (double* out = arguments.output<double>(1); rows.centered && out) out[r] = mean;
    }
  });
}

// With g = dy * scale and averages over the row:
//   dx = inverse * (g - average(g) - xhat * average(g * xhat)),
// without a mean also without the first average.
KernelResult CompileRowNormGrad(const LaunchSpec& launch) {
  LaunchCheck check(launch);
  const bool layer = launch.op.starts_with("Layer");
  WSI_RETURN_IF_ERROR(layer ? check.Operands("FFFFF", "FFF") : check.Operands("FFFF", "FF"));
  const NormRows rows = ReadRows(check, check.input(0), launch.op);
  check.InputIs(1, check.input(0));
  check.InputIs(2, rows.elements);
  check.InputIs(3, rows.statistics);
  check.InputIs(4, rows.statistics);
  check.OutputIs(0, check.input(0));
  check.OutputIs(1, rows.elements);
  check.OutputIs(2, rows.elements);
  WSI_RETURN_IF_ERROR(check.status());
  return MakeKernel([rows](const LaunchArguments& arguments) {
    const auto n = static_cast<double>(rows.length);
    const double* scale = arguments.input<double>(2);
    double* dscale = arguments.output<double>(1);
    double* dbias = arguments.output<double>(2);
    std::fill_n(dscale, rows.length, 0.0);
    if (dbias != nullptr) std::fill_n(dbias, rows.length, 0.0);
    for (int64_t r = 0; r < rows.count; ++r) {
      const double* dy = arguments.input<double>(0) + r * rows.length;
      const double* x = arguments.input<double>(1) + r * rows.length;
      double* dx = arguments.output<double>(0) + r * rows.length;
      const double mean = rows.centered ? arguments.input<double>(3)[r] : 0;
      const double inverse = arguments.input<double>(rows.centered ? 4 : 3)[r];
      double sum = 0;
      double dot = 0;
      for (int64_t i = 0; i < rows.length; ++i) {
        const double xhat = (x[i] - mean) * inverse;
        dscale[i] += dy[i] * xhat;
        if (dbias != nullptr) dbias[i] += dy[i];
        if (rows.centered) sum += dy[i] * scale[i];
        dot += dy[i] * scale[i] * xhat;
      }
      for (int64_t i = 0; i < rows.length; ++i) {
        const double xhat = (x[i] - mean) * inverse;
        dx[i] = inverse * (dy[i] * scale[i] - sum / n - xhat * dot / n);
      }
    }
  });
}

}  // namespace wsi::reference
