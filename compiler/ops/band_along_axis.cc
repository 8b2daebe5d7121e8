// Bands of operators that work along axes of their own: reductions, softmax, norms,
// indexing, products.
#include <fmt/format.h>

#include <algorithm>

#include "compiler/ops/band_rules.h"

namespace wsi {
namespace {

int AxisOf(const OpView& op) { return static_cast<int>(op.attributes().Int("axis", 0)); }

// The same rows of each of the inputs that has the result's axis.
Band SameRows(const OpView& op, int axis, RowRange rows) {
  Band band = WholeOperands(op, axis);
  for (int i = 0; i < op.input_count(); ++i) TakeRows(op, band, i, axis, rows);
  return band;
}

Status WantConstant(const OpView& op, int i) {
  return InvalidInput(
      fmt::format("{} '{}' has no bands along axis {}: input {} is not known when "
                  "compiling",
                  op.op(), op.name(), AxisOf(op), i));
}

// The axis of the input behind axis `axis` of the result of a reduction, -1 if reduced.
int AxisBefore(const std::vector<int64_t>& axes, bool keep, int axis) {
  const auto reduced = [&](int a) { return std::find(axes.begin(), axes.end(), a) != axes.end(); };
  if (keep) return reduced(axis) ? -1 : axis;
  for (int a = 0, y = 0;; ++a) {
    if (reduced(a)) continue;
    if (y++ == axis) return a;
  }
}

// Where the input's axis is in the result, -1 if reduced.
int AxisBehind(const std::vector<int64_t>& axes, bool keep, int axis) {
  if (std::find(axes.begin(), axes.end(), axis) != axes.end()) return -1;
  if (keep) return axis;
  return axis - static_cast<int>(
                    std::count_if(axes.begin(), axes.end(), [&](int64_t a) { return a < axis; }));
}

Result<Band> ReducedBand(const OpView& op, const std::vector<int64_t>& axes, int axis,
                         RowRange rows) {
  const bool keep = op.attributes().Int("keepdims", 1) == 1;
  const int own = AxisBefore(axes, keep, axis);
  if (own < 0) return NeedsEveryRow(op, axis);
  Band band = WholeOperands(op, axis);
  TakeRows(op, band, 0, own, rows);
  return band;
}

}  // namespace

Result<Band> AcrossAxisBand(const OpView& op, int axis, RowRange rows) {
  if (AxisOf(op) == axis) return NeedsEveryRow(op, axis);
  return SameRows(op, axis, rows);
}

Result<Band> ArgExtremeBand(const OpView& op, int axis, RowRange rows) {
  return ReducedBand(op, {AxisOf(op)}, axis, rows);
}

Result<Band> ReductionBand(const OpView& op, int axis, RowRange rows) {
  return ReducedBand(op, op.attributes().Ints("axes"), axis, rows);
}

Result<Band> ReduceSumBand(const OpView& op, int axis, RowRange rows) {
  const bool keep = op.attributes().Int("keepdims", 1) == 1;
  Band band = WholeOperands(op, AxisBehind(op.attributes().Ints("axes"), keep, axis));
  TakeRows(op, band, 0, axis, rows);
  return band;
}

// Along the axis of the indices: the rows that they reach, and the indices from there on.
Result<Band> GatherBand(const OpView& op, int axis, RowRange rows) {
  Band band = WholeOperands(op, axis);
  if (AxisOf(op) != axis) {
    TakeRows(op, band, 0, axis, rows);
    return band;
  }
  const Tensor* constant = op.InputConstant(1);
  if (constant == nullptr) return WantConstant(op, 1);
  std::vector<int64_t> indices = constant->ToInts();
  indices = {indices.begin() + rows.begin, indices.begin() + rows.end};
  const int64_t size = op.input_shape(0)[axis];
  for (int64_t& index : indices) index += index < 0 ? size : 0;
  const auto [low, high] = std::minmax_element(indices.begin(), indices.end());
  if (*low < 0 || *high >= size) {
    return InvalidInput(fmt::format("Gather '{}': index {} is outside axis {} of {}", op.name(),
                                    *low < 0 ? *low : *high, axis, op.input_shape(0).ToString()));
  }
  TakeRows(op, band, 0, axis, {*low, *high + 1});
  const int64_t first = *low;
  for (int64_t& index : indices) index -= first;
  WSI_ASSIGN_OR_RETURN(band.inputs[1].constant,
                       Tensor::Of<int64_t>({rows.count()}, indices).Cast(constant->dtype()));
  return band;
}

Result<Band> GatherGradBand(const OpView& op, int axis, RowRange rows) {
  if (AxisOf(op) == axis) return NeedsEveryRow(op, axis);
  Band band = WholeOperands(op, axis);
  TakeRows(op, band, 0, axis, rows);
  return band;
}

// Indices and updates may be shorter than the result.
Result<Band> ScatterElementsBand(const OpView& op, int axis, RowRange rows) {
  if (AxisOf(op) == axis) return NeedsEveryRow(op, axis);
  Band band = SameRows(op, axis, rows);
  const int64_t size = op.input_shape(1)[axis];
  const RowRange changed = {std::min(rows.begin, size), std::min(rows.end, size)};
  for (const int i : {1, 2}) TakeRows(op, band, i, axis, changed);
  return band;
}

namespace {

// The table of a resampling, its rows [m, taps].
struct Table {
  std::vector<int64_t> indices;
  std::vector<double> weights;
  int64_t taps = 0;
};

Result<Table> TableRows(const OpView& op, RowRange rows) {
  const Tensor* indices = op.InputConstant(1);
  const Tensor* weights = op.InputConstant(2);
  if (indices == nullptr) return WantConstant(op, 1);
  if (weights == nullptr) return WantConstant(op, 2);
  Table table;
  table.taps = indices->shape()[1];
  const std::vector<int64_t> all = indices->ToInts();
  const std::vector<double> values = weights->ToDoubles();
  const int64_t begin = rows.begin * table.taps;
  const int64_t end = rows.end * table.taps;
  table.indices = {all.begin() + begin, all.begin() + end};
  table.weights = {values.begin() + begin, values.begin() + end};
  return table;
}

// The table as the band's constants, its indices counted from the row `first`.
Status SetTable(const OpView& op, Band& band, Table table, int64_t first) {
  for (int64_t& index : table.indices) index -= first;
  const Shape shape = {static_cast<int64_t>(table.indices.size()) / table.taps, table.taps};
  band.inputs[1].constant = Tensor::Of<int64_t>(shape, table.indices);
  WSI_ASSIGN_OR_RETURN(band.inputs[2].constant,
                       Tensor::Of<double>(shape, table.weights).Cast(op.input(2).dtype));
  return {};
}

}  // namespace

Result<Band> ResampleBand(const OpView& op, int axis, RowRange rows) {
  Band band = WholeOperands(op, axis);
  if (AxisOf(op) != axis) {
    TakeRows(op, band, 0, axis, rows);
    return band;
  }
  WSI_ASSIGN_OR_RETURN(Table table, TableRows(op, rows));
  if (table.taps == 0) return NeedsEveryRow(op, axis);
  const auto [low, high] = std::minmax_element(table.indices.begin(), table.indices.end());
  const RowRange read = {*low, *high + 1};
  TakeRows(op, band, 0, axis, read);
  WSI_RETURN_IF_ERROR(SetTable(op, band, std::move(table), read.begin));
  return band;
}

// The rows of dy whose taps reach the band; taps that go elsewhere weigh nothing.
Result<Band> ResampleGradBand(const OpView& op, int axis, RowRange rows) {
  Band band = WholeOperands(op, axis);
  if (AxisOf(op) != axis) {
    TakeRows(op, band, 0, axis, rows);
    return band;
  }
  WSI_ASSIGN_OR_RETURN(const Table all, TableRows(op, {0, op.input_shape(1)[0]}));
  if (all.taps == 0) return NeedsEveryRow(op, axis);
  const auto inside = [rows](int64_t i) { return rows.begin <= i && i < rows.end; };
  const auto first = std::find_if(all.indices.begin(), all.indices.end(), inside);
  const auto last = std::find_if(all.indices.rbegin(), all.indices.rend(), inside);
  RowRange read;
  if (first != all.indices.end()) {
    read = {(first - all.indices.begin()) / all.taps,
            (all.indices.rend() - last - 1) / all.taps + 1};
  }
  WSI_ASSIGN_OR_RETURN(Table table, TableRows(op, read));
  for (size_t i = 0; i < table.indices.size(); ++i) {
    if (inside(table.indices[i])) continue;
    table.indices[i] = rows.begin;
    table.weights[i] = 0;
  }
  TakeRows(op, band, 0, axis, read);
  band.attributes.Set("size", rows.count());
  WSI_RETURN_IF_ERROR(SetTable(op, band, std::move(table), rows.begin));
  return band;
}

// Scale and bias, behind dy and x in a gradient, are of the normalized axes.
Result<Band> RowNormBand(const OpView& op, int axis, RowRange rows) {
  if (axis >= AxisOf(op)) return NeedsEveryRow(op, axis);
  const bool gradient = op.op().ends_with("Grad");
  Band band = SameRows(op, axis, rows);
  for (int i = gradient ? 2 : 1; i < (gradient ? 3 : op.input_count()); ++i) {
    TakeRows(op, band, i, -1, {});
  }
  if (gradient) std::fill(band.output_axes.begin() + 1, band.output_axes.end(), -1);
  return band;
}

// Rows of a batch, of the left operand or columns of the right one; Gemm's addend
// broadcasts.
Result<Band> MatMulBand(const OpView& op, int axis, RowRange rows) {
  const Shape& a = op.input_shape(0);
  const Shape& b = op.input_shape(1);
  const Shape& y = op.output_shape(0);
  Band band = WholeOperands(op, axis);
  const int batch = y.rank() - (a.rank() > 1 ? 1 : 0) - (b.rank() > 1 ? 1 : 0);
  const auto take_broadcast = [&](int i, int own) {
    const Shape& x = op.input_shape(i);
    if (own >= 0 && own < x.rank() && x[own] == y[axis]) TakeRows(op, band, i, own, rows);
  };
  if (op.HasInput(2)) take_broadcast(2, axis - y.rank() + op.input_shape(2).rank());
  if (axis >= batch) {
    const bool left = axis == batch && a.rank() > 1;
    const bool transposed = op.attributes().Int(left ? "transA" : "transB", 0) == 1;
    const Shape& operand = left ? a : b;
    // The axis that does not run along the sums.
    TakeRows(op, band, left ? 0 : 1, operand.rank() - (left != transposed ? 2 : 1), rows);
    return band;
  }
  if (a.rank() > 2) take_broadcast(0, axis - batch + a.rank() - 2);
  if (b.rank() > 2) take_broadcast(1, axis - batch + b.rank() - 2);
  return band;
}

}  // namespace wsi
