// Bands of operators that move data: their rows are others' rows, renumbered.
#include <fmt/format.h>

#include <algorithm>

#include "compiler/ops/band_rules.h"

namespace wsi {
namespace {

// The part of `rows` that lies in [begin, end), counted from `begin`.
RowRange Within(RowRange rows, int64_t begin, int64_t end) {
  const int64_t from = std::clamp(rows.begin, begin, end);
  return {from - begin, std::clamp(rows.end, from, end) - begin};
}

// The entry of attribute axes that is `axis`, or -1.
int EntryOf(const OpView& op, int axis) {
  const std::vector<int64_t> axes = op.attributes().Ints("axes");
  const auto at = std::find(axes.begin(), axes.end(), axis);
  return at == axes.end() ? -1 : static_cast<int>(at - axes.begin());
}

int64_t Entry(const OpView& op, std::string_view name, int i) {
  return op.attributes().Ints(name)[static_cast<size_t>(i)];
}

// Elements under the axes before `axis`.
int64_t CountBefore(const Shape& shape, int axis) {
  int64_t count = 1;
  for (int a = 0; a < axis; ++a) count *= shape[a];
  return count;
}

}  // namespace

Result<Band> ConcatBand(const OpView& op, int axis, RowRange rows) {
  Band band = WholeOperands(op, axis);
  const bool stacked = op.attributes().Int("axis", 0) == axis;
  int64_t begin = 0;
  for (int i = 0; i < op.input_count(); ++i) {
    const int64_t size = op.input_shape(i)[axis];
    TakeRows(op, band, i, axis, stacked ? Within(rows, begin, begin + size) : rows);
    begin += size;
  }
  return band;
}

Result<Band> ExpandBand(const OpView& op, int axis, RowRange rows) {
  WSI_ASSIGN_OR_RETURN(Band band, PointwiseBand(op, axis, rows));
  SetEntry(band.attributes, "shape", axis, rows.count());
  return band;
}

Result<Band> PadBand(const OpView& op, int axis, RowRange rows) {
  Band band = WholeOperands(op, axis);
  const Shape& x = op.input_shape(0);
  const int64_t before = Entry(op, "pads", axis);
  const RowRange read = Within(rows, before, before + x[axis]);
  TakeRows(op, band, 0, axis, read);
  const int64_t begin = std::clamp<int64_t>(before - rows.begin, 0, rows.count());
  SetEntry(band.attributes, "pads", axis, begin);
  SetEntry(band.attributes, "pads", x.rank() + axis, rows.count() - begin - read.count());
  return band;
}

// Rows stay rows where as many elements precede them: [n, h, w, c] to [n, h, w * c].
Result<Band> ReshapeBand(const OpView& op, int axis, RowRange rows) {
  const Shape& x = op.input_shape(0);
  const Shape& y = op.output_shape(0);
  for (int own = 0; own < x.rank(); ++own) {
    if (x[own] != y[axis] || CountBefore(x, own) != CountBefore(y, axis)) continue;
    Band band = WholeOperands(op, axis);
    TakeRows(op, band, 0, own, rows);
    SetEntry(band.attributes, "shape", axis, rows.count());
    return band;
  }
  return InvalidInput(
      fmt::format("Reshape '{}' has no bands along axis {}: {} has no axis of these "
                  "rows",
                  op.name(), axis, x.ToString()));
}

// Row j is row start + j * step.
Result<Band> SliceBand(const OpView& op, int axis, RowRange rows) {
  Band band = WholeOperands(op, axis);
  const int entry = EntryOf(op, axis);
  if (entry < 0) {
    TakeRows(op, band, 0, axis, rows);
    return band;
  }
  const int64_t step = Entry(op, "steps", entry);
  const int64_t first = Entry(op, "starts", entry) + rows.begin * step;
  const int64_t last = first + (rows.count() - 1) * step;
  const RowRange read = {std::min(first, last), std::max(first, last) + 1};
  TakeRows(op, band, 0, axis, read);
  SetEntry(band.attributes, "starts", entry, first - read.begin);
  SetEntry(band.attributes, "ends", entry, step > 0 ? read.count() : -1);
  return band;
}

// Row start + j * step of the result is row j, any other one zero.
Result<Band> SliceGradBand(const OpView& op, int axis, RowRange rows) {
  Band band = WholeOperands(op, axis);
  SetEntry(band.attributes, "input_shape", axis, rows.count());
  const int entry = EntryOf(op, axis);
  if (entry < 0) {
    TakeRows(op, band, 0, axis, rows);
    return band;
  }
  const int64_t step = Entry(op, "steps", entry);
  const int64_t start = Entry(op, "starts", entry);
  const int64_t count = op.input_shape(0)[axis];
  const int64_t stride = std::abs(step);
  // j * stride >= `from` and < `to`, from the first row that the direction meets.
  const int64_t from = step > 0 ? rows.begin - start : start - rows.end + 1;
  const int64_t to = step > 0 ? rows.end - start : start - rows.begin + 1;
  const auto rounded_up = [stride](int64_t a) { return a <= 0 ? 0 : (a - 1) / stride + 1; };
  const int64_t begin = std::min(rounded_up(from), count);
  const int64_t end = std::clamp(rounded_up(to), begin, count);
  TakeRows(op, band, 0, axis, {begin, end});
  const int64_t first = start + begin * step - rows.begin;
  const int64_t last = first + (end - begin - 1) * step;
  SetEntry(band.attributes, "starts", entry, begin == end ? 0 : first);
  SetEntry(band.attributes, "ends", entry, begin == end ? 0 : step > 0 ? last + 1 : last - 1);
  if (begin == end) SetEntry(band.attributes, "steps", entry, 1);
  return band;
}

Result<Band> TransposeBand(const OpView& op, int axis, RowRange rows) {
  Band band = WholeOperands(op, axis);
  TakeRows(op, band, 0, static_cast<int>(Entry(op, "perm", axis)), rows);
  return band;
}

}  // namespace wsi
