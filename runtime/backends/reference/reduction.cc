// Sums, means, products and extremes over axes.
#include <algorithm>
#include <limits>

#include "runtime/backends/reference/element_types.h"
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

// Position 0 of the walk is read, position 1 combined with it, beginning with `start`.
template <typename T>
KernelResult FoldKernel(const Walk<2>& walk, int64_t results, T start, T (*combine)(T, T)) {
  return MakeKernel([=](const LaunchArguments& arguments) {
    T* out = arguments.output<T>(0);
    std::fill_n(out, results, start);
    ForEach(walk, [&](const std::array<int64_t, 2>& at) {
      out[at[1]] = combine(out[at[1]], arguments.input<T>(0)[at[0]]);
    });
  });
}

template <typename T>
KernelResult FoldOf(const LaunchSpec& launch, const Walk<2>& walk, int64_t results) {
  using Limits = std::numeric_limits<T>;
  const bool is_bool = launch.inputs[0].dtype == DType::kBool;
  if (launch.op == "ReduceSum") return FoldKernel<T>(walk, results, 0, Sum<T>);
  if (launch.op == "ReduceProd") return FoldKernel<T>(walk, results, 1, Product<T>);
  if (launch.op == "ReduceMax") {
    const T lowest = Limits::has_infinity ? -Limits::infinity() : Limits::lowest();
    return FoldKernel<T>(walk, results, lowest, Larger<T>);
  }
  const T highest = Limits::has_infinity ? Limits::infinity() : Limits::max();
  return FoldKernel<T>(walk, results, is_bool ? T{1} : highest, Smaller<T>);
}

KernelResult MeanKernel(const Walk<2>& walk, int64_t results, double count) {
  return MakeKernel([=](const LaunchArguments& arguments) {
    const double* in = arguments.input<double>(0);
    double* out = arguments.output<double>(0);
    std::fill_n(out, results, 0.0);
    ForEach(walk, [&](const std::array<int64_t, 2>& at) { out[at[1]] += in[at[0]]; });
    for (int64_t i = 0; i < results; ++i) out[i] /= count;
  });
}

}  // namespace

KernelResult CompileReduction(const LaunchSpec& launch) {
  LaunchCheck check(launch);
  const bool mean = launch.op == "ReduceMean";
  WSI_RETURN_IF_ERROR(mean ? check.Operands("F", "F") : check.Operands("*", "*"));
  const Shape& x = check.input(0);
  const std::vector<int64_t> axes = check.Axes("axes", x.rank());
  const bool keep = check.Int("keepdims", 0, 1, 1) == 1;
  WSI_RETURN_IF_ERROR(check.status());
  check.OutputIs(0, Reduced(x, axes, keep));
  check.OutputIs(0, check.input_type(0));
  WSI_RETURN_IF_ERROR(check.status());
  Walk<2> walk{x.rank(), Sizes(x), {}, {}};
  walk.strides = {RowMajor(x), RowMajor(Reduced(x, axes, true))};
  double count = 1;
  for (const int64_t axis : axes) {
    walk.strides[1][static_cast<size_t>(axis)] = 0;
    count *= static_cast<double>(x[static_cast<int>(axis)]);
  }
  const int64_t results = check.output(0).ElementCount();
  if (mean) return MeanKernel(walk, results, count);
  return ForElementType(check, check.input_type(0), [&]<typename T>(std::type_identity<T>) {
    return FoldOf<T>(launch, walk, results);
  });
}

}  // namespace wsi::reference
