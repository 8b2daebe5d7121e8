// Running sums, extremes' positions and the largest elements along one axis.
#include <algorithm>
#include <numeric>
#include <vector>

#include "runtime/backends/reference/element_types.h"
#include "runtime/backends/reference/kernels.h"
#include "runtime/backends/rows.h"

namespace wsi::reference {
namespace {

Shape WithAxis(const Shape& shape, int axis, int64_t size) {
  std::vector<int64_t> sizes(shape.begin(), shape.end());
  sizes[static_cast<size_t>(axis)] = size;
  return Shape::Make(sizes).value();
}

// NaN is larger than any number.
template <typename T>
bool Above(T a, T b) {
  return b == b && (a != a || a > b);
}

// The positions along a row in the order of their elements; equal ones in their own.
template <typename T>
std::vector<int64_t> Ranked(const T* x, const Rows& rows, bool largest) {
  std::vector<int64_t> order(static_cast<size_t>(rows.length));
  std::iota(order.begin(), order.end(), int64_t{0});
  std::ranges::stable_sort(order, [&](int64_t i, int64_t j) {
    const T a = x[i * rows.inner_count];
    const T b = x[j * rows.inner_count];
    return largest ? Above(a, b) : Above(b, a);
  });
  return order;
}

}  // namespace

KernelResult CompileArgExtreme(const LaunchSpec& launch) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("*", "L"));
  const int axis = check.Axis("axis", check.input(0).rank());
  const bool last = check.Flag("select_last_index");
  WSI_RETURN_IF_ERROR(check.status());
  const Rows rows = RowsAlong(check.input(0), axis);
  check.Require(
      rows.length > 0 && check.output(0).ElementCount() == rows.outer_count * rows.inner_count,
      "gives one position for each line along the axis");
  WSI_RETURN_IF_ERROR(check.status());
  const bool largest = launch.op == "ArgMax";
  return ForElementType(check, check.input_type(0), [&]<typename T>(std::type_identity<T>) {
    return MakeKernel([=](const LaunchArguments& arguments) {
      ForEachRow(rows, [&](int64_t row, int64_t first) {
        const T* x = arguments.input<T>(0) + first;
        const std::vector<int64_t> order = Ranked(x, rows, largest);
        size_t best = 0;
        const T extreme = x[order[0] * rows.inner_count];
        while (last && best + 1 < order.size() &&
               x[order[best + 1] * rows.inner_count] == extreme) {
          ++best;
        }
        arguments.output<int64_t>(0)[row] = order[best];
      });
    });
  });
}

KernelResult CompileCumSum(const LaunchSpec& launch) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("*", "*"));
  const int axis = check.Axis("axis", check.input(0).rank());
  const bool exclusive = check.Flag("exclusive");
  const bool reverse = check.Flag("reverse");
  check.OutputIs(0, check.input(0));
  check.OutputIs(0, check.input_type(0));
  WSI_RETURN_IF_ERROR(check.status());
  const Rows rows = RowsAlong(check.input(0), axis);
  return ForElementType(check, check.input_type(0), [&]<typename T>(std::type_identity<T>) {
    return MakeKernel([=](const LaunchArguments& arguments) {
      ForEachRow(rows, [&](int64_t, int64_t first) {
        T sum{0};
        for (int64_t j = 0; j < rows.length; ++j) {
          const int64_t at = first + (reverse ? rows.length - 1 - j : j) * rows.inner_count;
          const T before = sum;
          sum = Sum(sum, arguments.input<T>(0)[at]);
          arguments.output<T>(0)[at] = exclusive ? before : sum;
        }
      });
    });
  });
}

KernelResult CompileTopK(const LaunchSpec& launch) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("*", "*l"));
  const Shape& x_shape = check.input(0);
  const int axis = check.Axis("axis", x_shape.rank());
  WSI_RETURN_IF_ERROR(check.status());
  const int64_t k = check.Int("k", 0, x_shape[axis], 0);
  const bool largest = check.Int("largest", 0, 1, 1) == 1;
  check.OutputIs(0, WithAxis(x_shape, axis, k));
  check.OutputIs(0, check.input_type(0));
  check.OutputIs(1, WithAxis(x_shape, axis, k));
  WSI_RETURN_IF_ERROR(check.status());
  const Rows rows = RowsAlong(x_shape, axis);
  return ForElementType(check, check.input_type(0), [&]<typename T>(std::type_identity<T>) {
    return MakeKernel([=](const LaunchArguments& arguments) {
      ForEachRow(rows, [&](int64_t row, int64_t first) {
        const T* x = arguments.input<T>(0) + first;
        const std::vector<int64_t> order = Ranked(x, rows, largest);
        const int64_t to = row / rows.inner_count * k * rows.inner_count + row % rows.inner_count;
        for (int64_t j = 0; j < k; ++j) {
          const int64_t from = order[static_cast<size_t>(j)];
          const int64_t at = to + j * rows.inner_count;
          arguments.output<T>(0)[at] = x[from * rows.inner_count];
          if (auto* indices = arguments.output<int64_t>(1)) indices[at] = from;
        }
      });
    });
  });
}

}  // namespace wsi::reference
