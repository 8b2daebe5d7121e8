// Losses that compare two tensors of one shape, averaged over all elements.
#include <cmath>

#include "runtime/backends/reference/kernels.h"
#include "runtime/backends/reference/launch_check.h"
#include "runtime/base/band.h"

namespace wsi::reference {
namespace {

double SquaredError(double x, double target) { return (x - target) * (x - target); }
double SquaredErrorSlope(double x, double target) { return 2 * (x - target); }

// -target * ln(sigmoid(z)) - (1 - target) * ln(1 - sigmoid(z)), without overflow.
double CrossEntropy(double z, double target) {
  return std::fmax(z, 0) - z * target + std::log1p(std::exp(-std::abs(z)));
}
double CrossEntropySlope(double z, double target) {
  const double e = std::exp(-std::abs(z));
  return (z >= 0 ? 1 / (1 + e) : e / (1 + e)) - target;
}

}  // namespace

KernelResult CompileElementwiseLoss(const LaunchSpec& launch) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("FF", "F"));
  check.InputIs(1, check.input(0));
  check.OutputIs(0, Shape());
  WSI_RETURN_IF_ERROR(check.status());
  const auto loss = launch.op == "MeanSquaredError" ? SquaredError : CrossEntropy;
  return MakeKernel(
      [loss, count = check.input(0).ElementCount()](const LaunchArguments& arguments) {
        double sum = 0;
        for (int64_t i = 0; i < count; ++i) {
          sum += loss(arguments.input<double>(0)[i], arguments.input<double>(1)[i]);
        }
        *arguments.output<double>(0) = sum / static_cast<double>(count);
      });
}

KernelResult CompileElementwiseLossGrad(const LaunchSpec& launch) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("FFF", "F"));
  check.InputIs(0, Shape());
  check.InputIs(2, check.input(1));
  check.OutputIs(0, check.input(1));
  WSI_RETURN_IF_ERROR(check.status());
  WSI_ASSIGN_OR_RETURN(const BandOfWhole band,
                       BandOfWhole::Read(launch.attributes, check.input(1)));
  const auto slope = launch.op == "MeanSquaredErrorGrad" ? SquaredErrorSlope : CrossEntropySlope;
  return MakeKernel(
      [slope, band, count = check.input(1).ElementCount()](const LaunchArguments& arguments) {
        const double factor =
            *arguments.input<double>(0) / static_cast<double>(band.CountInWhole(count));
        const double* x = arguments.input<double>(1);
        const double* target = arguments.input<double>(2);
        for (int64_t i = 0; i < count; ++i) {
          arguments.output<double>(0)[i] = factor * slope(x[i], target[i]);
        }
      });
}

}  // namespace wsi::reference
