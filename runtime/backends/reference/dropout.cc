// Dropout (Srivastava et al., 2014) scaled by 1 / (1 - ratio) in training. Which elements
// stay is a function of seed, step, node and flat element index in the whole tensor.
#include "runtime/backends/reference/kernels.h"
#include "runtime/backends/reference/launch_check.h"
#include "runtime/base/band.h"
#include "runtime/base/philox.h"

namespace wsi::reference {
namespace {

double ReadRatio(LaunchCheck& check) {
  const double ratio = check.Float("ratio", 0.5);
  check.Require(ratio >= 0 && ratio <= 1, "ratio is not from 0 to 1");
  return ratio;
}

double Kept(double value, bool keep, double ratio) { return keep ? value / (1 - ratio) : 0; }

}  // namespace

KernelResult CompileDropout(const LaunchSpec& launch) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("FLL", "Fb"));
  const double ratio = ReadRatio(check);
  check.Require(check.HasAttribute("seed_id"), "lacks attribute seed_id");
  const int64_t node = check.Int("seed_id", 0, int64_t{0xFFFFFFFF}, 0);
  check.InputIs(1, Shape());
  check.InputIs(2, Shape());
  check.OutputIs(0, check.input(0));
  check.OutputIs(1, check.input(0));
  WSI_RETURN_IF_ERROR(check.status());
  WSI_ASSIGN_OR_RETURN(const BandOfWhole band,
                       BandOfWhole::Read(launch.attributes, check.input(0)));
  return MakeKernel(
      [ratio, node, band, count = check.input(0).ElementCount()](const LaunchArguments& arguments) {
        const PhiloxStream random(*arguments.input<int64_t>(1), *arguments.input<int64_t>(2), node);
        auto* mask = arguments.output<uint8_t>(1);
        for (int64_t i = 0; i < count; ++i) {
          const bool keep = static_cast<double>(random.Uniform(band.WholeIndex(i))) >= ratio;
          arguments.output<double>(0)[i] = Kept(arguments.input<double>(0)[i], keep, ratio);
          if (mask != nullptr) mask[i] = keep ? 1 : 0;
        }
      });
}

KernelResult CompileDropoutGrad(const LaunchSpec& launch) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("FB", "F"));
  const double ratio = ReadRatio(check);
  check.InputIs(1, check.input(0));
  check.OutputIs(0, check.input(0));
  WSI_RETURN_IF_ERROR(check.status());
  return MakeKernel(
      [ratio, count = check.input(0).ElementCount()](const LaunchArguments& arguments) {
        const double* dy = arguments.input<double>(0);
        const auto* mask = arguments.input<uint8_t>(1);
        for (int64_t i = 0; i < count; ++i) {
          arguments.output<double>(0)[i] = Kept(dy[i], mask[i] != 0, ratio);
        }
      });
}

}  // namespace wsi::reference
