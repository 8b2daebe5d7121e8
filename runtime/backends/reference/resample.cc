// Weighted sums of positions along one axis, and their gradient.
#include <fmt/format.h>

#include <algorithm>

#include "runtime/backends/reference/kernels.h"
#include "runtime/backends/reference/launch_check.h"
#include "runtime/backends/rows.h"

namespace wsi::reference {
namespace {

struct Table {
  Rows rows;  // Of the tensor that the indices are positions of.
  int64_t positions = 0;
  int64_t taps = 0;
};

// `whole`: of the tensor that the indices are positions of; `part`: of the other.
Table ReadTable(LaunchCheck& check, const Shape& whole, const Shape& part) {
  Table table;
  const int axis = check.Axis("axis", whole.rank());
  const Shape& indices = check.input(1);
  check.Require(indices.rank() == 2, "the table is no matrix");
  check.InputIs(2, indices);
  if (!check.status().ok()) return table;
  bool fits = part.rank() == whole.rank();
  for (int a = 0; fits && a < whole.rank(); ++a) {
    fits = part[a] == (a == axis ? indices[0] : whole[a]);
  }
  check.Require(fits, "the table does not lead from one tensor to the other");
  return {RowsAlong(whole, axis), indices[0], indices[1]};
}

// Calls f(element of the whole, element of the part, weight) for every tap of every row.
template <typename F>
Status ForEachTap(const Table& table, const LaunchArguments& arguments, F f) {
  const Rows& rows = table.rows;
  for (int64_t i = 0; i < table.positions * table.taps; ++i) {
    const int64_t index = arguments.input<int64_t>(1)[i];
    if (index < 0 || index >= rows.length) {
      return InvalidInput(
          fmt::format("index {} is outside an axis of size {}", index, rows.length));
    }
    for (int64_t outer = 0; outer < rows.outer_count; ++outer) {
      const int64_t whole = (outer * rows.length + index) * rows.inner_count;
      const int64_t part = (outer * table.positions + i / table.taps) * rows.inner_count;
      for (int64_t inner = 0; inner < rows.inner_count; ++inner) {
        f(whole + inner, part + inner, arguments.input<double>(2)[i]);
      }
    }
  }
  return {};
}

}  // namespace

KernelResult CompileResample(const LaunchSpec& launch) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("FLF", "F"));
  const Table table = ReadTable(check, check.input(0), check.output(0));
  WSI_RETURN_IF_ERROR(check.status());
  return MakeKernel(
      [table, count = check.output(0).ElementCount()](const LaunchArguments& arguments) {
        const double* x = arguments.input<double>(0);
        double* y = arguments.output<double>(0);
        std::fill_n(y, count, 0.0);
        return ForEachTap(table, arguments, [&](int64_t whole, int64_t part, double weight) {
          y[part] += weight * x[whole];
        });
      });
}

KernelResult CompileResampleGrad(const LaunchSpec& launch) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("FLF", "F"));
  const Table table = ReadTable(check, check.output(0), check.input(0));
  WSI_RETURN_IF_ERROR(check.status());
  return MakeKernel(
      [table, count = check.output(0).ElementCount()](const LaunchArguments& arguments) {
        const double* dy = arguments.input<double>(0);
        double* dx = arguments.output<double>(0);
        std::fill_n(dx, count, 0.0);
        return ForEachTap(table, arguments, [&](int64_t whole, int64_t part, double weight) {
          dx[whole] += weight * dy[part];
        });
      });
}

}  // namespace wsi::reference
