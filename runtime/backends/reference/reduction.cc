// Sums and means over axes.
#include <algorithm>

#include "runtime/backends/reference/kernels.h"
#include "runtime/backends/reference/launch_check.h"
#include "runtime/backends/reference/walk.h"

namespace wsi::reference {
namespace {

// `shape` with ones at the reduced axes, or without these.
Shape Reduced(const Shape& shape, const std::vector<int64_t>& axes, bool keep) {
  std::vector<int64_t> sizes;
  for (int64_t a = 0; a < shape.rank(); ++a) {
    const bool reduced = std::find(axes.begin(), axes.end(), a) != axes.end();
    if (!reduced) sizes.push_back(shape[static_cast<int>(a)]);
    if (reduced && keep) sizes.push_back(1);
  }
  return Shape::Make(sizes).value();
}

}  // namespace

KernelResult CompileReduction(const LaunchSpec& launch) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("F", "F"));
  const Shape& x = check.input(0);
  const std::vector<int64_t> axes = check.Axes("axes", x.rank());
  const bool keep = check.Int("keepdims", 0, 1, 1) == 1;
  WSI_RETURN_IF_ERROR(check.status());
  check.OutputIs(0, Reduced(x, axes, keep));
  WSI_RETURN_IF_ERROR(check.status());
  Walk<2> walk{x.rank(), Sizes(x), {}, {}};
  walk.strides = {RowMajor(x), RowMajor(Reduced(x, axes, true))};
  double count = 1;
  for (const int64_t axis : axes) {
    walk.strides[1][static_cast<size_t>(axis)] = 0;
    count *= static_cast<double>(x[static_cast<int>(axis)]);
  }
  const double divisor = launch.op == "ReduceMean" ? count : 1;
  return MakeKernel(
      [walk, divisor, results = check.output(0).ElementCount()](const LaunchArguments& arguments) {
        const double* in = arguments.input<double>(0);
        double* out = arguments.output<double>(0);
        std::fill_n(out, results, 0.0);
        ForEach(walk, [&](const std::array<int64_t, 2>& at) { out[at[1]] += in[at[0]]; });
        for (int64_t i = 0; i < results; ++i) out[i] /= divisor;
      });
}

}  // namespace wsi::reference
