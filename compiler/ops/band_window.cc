// Bands of windows over rows. Output row j of a window of kernel k, stride s, dilation d
// and leading pad p reads the rows j * s - p + t * d, t from 0 to below k: its span is
// e = d * (k - 1) + 1 rows.
#include <fmt/format.h>

#include <algorithm>

#include "compiler/ops/attribute_check.h"
#include "compiler/ops/band_rules.h"
#include "compiler/ops/spatial.h"

namespace wsi {
namespace {

// ceil(a / b) and floor(a / b) of any a. REQUIRES: b > 0.
int64_t CeilOf(int64_t a, int64_t b) { return a >= 0 ? (a + b - 1) / b : -(-a / b); }
int64_t FloorOf(int64_t a, int64_t b) { return -CeilOf(-a, b); }

// A window along the row axis.
struct RowWindow {
  int index = 0;  // Of the row axis among the spatial ones, which are `spatial_rank`.
  int spatial_rank = 0;
  int64_t span = 0;
  int64_t stride = 0;
  int64_t begin = 0;
  int64_t end = 0;
  bool ceil_mode = false;
};

// Where the row axis is: the batch, the channels or a spatial axis.
enum class AxisRole : uint8_t { kBatch, kChannel, kSpatial };

bool IsPool(const OpView& op) { return op.op().find("Pool") != std::string::npos; }

// To a pool channels are what images of a batch are: each for itself.
AxisRole RoleOf(const OpView& op, int axis, int rank) {
  const bool channels_last = op.attributes().Int("channels_last", 0) == 1;
  if (axis == 0) return AxisRole::kBatch;
  if (IsPool(op) && axis == ChannelAxis(rank, channels_last)) return AxisRole::kBatch;
  return axis == ChannelAxis(rank, channels_last) ? AxisRole::kChannel : AxisRole::kSpatial;
}

Result<RowWindow> WindowAlong(const OpView& op, int axis, int rank) {
  RowWindow w;
  w.index = axis - (op.attributes().Int("channels_last", 0) == 1 ? 1 : 2);
  w.spatial_rank = rank - 2;
  WSI_ASSIGN_OR_RETURN(const Window window, CheckedWindow(op.attributes(), w.spatial_rank));
  const auto i = static_cast<size_t>(w.index);
  w.span = window.dilations[i] * (window.kernel[i] - 1) + 1;
  w.stride = window.strides[i];
  w.begin = window.begins[i];
  w.end = window.ends[i];
  w.ceil_mode = op.attributes().Int("ceil_mode", 0) == 1;
  return w;
}

void SetPads(Attributes& attributes, const RowWindow& w, int64_t begin, int64_t end) {
  SetEntry(attributes, "pads", w.index, begin);
  SetEntry(attributes, "pads", w.spatial_rank + w.index, end);
}

// Input `x` of a band whose windows are `rows` along `axis`, and the pads.
Status ReadWindows(const OpView& op, Band& band, int x, int axis, RowRange rows) {
  const Shape& shape = op.input_shape(x);
  WSI_ASSIGN_OR_RETURN(const RowWindow w, WindowAlong(op, axis, shape.rank()));
  const int64_t first = rows.begin * w.stride - w.begin;
  const int64_t behind = (rows.end - 1) * w.stride - w.begin + w.span;
  const RowRange read = {std::max<int64_t>(first, 0), std::min(behind, shape[axis])};
  if (read.begin >= read.end) {
    return InvalidInput(fmt::format("{} '{}': rows {} to {} read nothing but padding", op.op(),
                                    op.name(), rows.begin, rows.end));
  }
  TakeRows(op, band, x, axis, read);
  // With ceil_mode the last window can hang over the padding, of which no more is counted.
  int64_t end = behind - read.end;
  if (op.attributes().Int("count_include_pad", 0) == 1) end = std::min(end, w.end);
  const int64_t begin = read.begin - first;
  if (begin + read.count() + end < w.span) {
    return InvalidInput(
        fmt::format("{} '{}': row {} hangs over the padding that it counts, and "
                    "has no band without the row before",
                    op.op(), op.name(), rows.begin));
  }
  SetPads(band.attributes, w, begin, end);
  return {};
}

// Of an operator whose result has `rows` rows along `axis` the windows that reach one of
// them: rows of input 0. More are among them where a pad would be negative otherwise.
RowRange WindowsOver(const OpView& op, const RowWindow& w, int axis, RowRange rows) {
  const int64_t last = op.input_shape(0)[axis] - 1;
  const int64_t before = std::min(FloorOf(rows.begin + w.begin, w.stride), last);
  const int64_t reaching = CeilOf(rows.begin + w.begin - w.span + 1, w.stride);
  const int64_t first = std::max<int64_t>(std::min(reaching, before), 0);
  int64_t through = std::min(FloorOf(rows.end - 1 + w.begin, w.stride), last);
  // A result that ends in a gap between windows is as long as the next window makes it.
  const bool short_of = through * w.stride - w.begin + w.span < rows.end;
  if (op.op() == "ConvTranspose" && short_of) through = std::min(through + 1, last);
  return {first, std::max(through, first) + 1};
}

// A pool's divisors count positions of the whole, but not where the last window ends.
bool DivisorsHangOver(const OpView& op, const RowWindow& w, int axis) {
  if (op.attributes().Int("count_include_pad", 0) == 0 || !w.ceil_mode) return false;
  const int64_t behind = (op.input_shape(0)[axis] - 1) * w.stride + w.span;
  return behind > op.output_shape(0)[axis] + w.begin + w.end;
}

}  // namespace

Result<Band> WindowBand(const OpView& op, int axis, RowRange rows) {
  Band band = WholeOperands(op, axis);
  const AxisRole role = RoleOf(op, axis, op.output_shape(0).rank());
  if (role == AxisRole::kChannel) return NeedsEveryRow(op, axis);
  if (role == AxisRole::kBatch) {
    TakeRows(op, band, 0, axis, rows);
    return band;
  }
  WSI_RETURN_IF_ERROR(ReadWindows(op, band, 0, axis, rows));
  return band;
}

Result<Band> ConvWeightGradBand(const OpView& op, int axis, RowRange rows) {
  Band band = WholeOperands(op, -1);
  const AxisRole role = RoleOf(op, axis, op.input_shape(0).rank());
  if (role == AxisRole::kChannel) return NeedsEveryRow(op, axis);
  TakeRows(op, band, 1, axis, rows);
  if (role == AxisRole::kBatch) {
    TakeRows(op, band, 0, axis, rows);
    return band;
  }
  WSI_RETURN_IF_ERROR(ReadWindows(op, band, 0, axis, rows));
  return band;
}

Result<Band> SpreadBand(const OpView& op, int axis, RowRange rows) {
  Band band = WholeOperands(op, axis);
  const AxisRole role = RoleOf(op, axis, op.output_shape(0).rank());
  if (role == AxisRole::kChannel) return NeedsEveryRow(op, axis);
  if (op.attributes().Has("input_shape")) {
    SetEntry(band.attributes, "input_shape", axis, rows.count());
  }
  RowRange windows = rows;
  if (role == AxisRole::kSpatial) {
    WSI_ASSIGN_OR_RETURN(const RowWindow w, WindowAlong(op, axis, op.output_shape(0).rank()));
    windows = WindowsOver(op, w, axis, rows);
    const int64_t begin = w.begin + rows.begin - windows.begin * w.stride;
    const int64_t covered = (windows.count() - 1) * w.stride + w.span - begin;
    if (DivisorsHangOver(op, w, axis)) {
      return InvalidInput(
          fmt::format("{} '{}' has no bands: its last window hangs over the padding that it counts",
                      op.op(), op.name()));
    }
    SetPads(band.attributes, w, begin, std::max<int64_t>(covered - rows.count(), 0));
    if (op.op() == "AveragePoolGrad") {
      SetBand(op, band, axis, rows, op.output_shape(0));
    }
  }
  for (int i = 0; i < op.input_count(); ++i) {
    const bool weight = i == 1 && !IsPool(op);
    if (!weight) TakeRows(op, band, i, axis, windows);
  }
  return band;
}

Result<Band> GlobalAverageBand(const OpView& op, int axis, RowRange rows) {
  const Shape& x = op.input_shape(0);
  const bool spatial = RoleOf(op, axis, x.rank()) == AxisRole::kSpatial;
  Band band = WholeOperands(op, spatial ? -1 : axis);
  TakeRows(op, band, 0, axis, rows);
  if (spatial) SetBand(op, band, axis, rows, x);
  return band;
}

Result<Band> GlobalMaxBand(const OpView& op, int axis, RowRange rows) {
  if (RoleOf(op, axis, op.output_shape(0).rank()) == AxisRole::kSpatial) {
    return NeedsEveryRow(op, axis);
  }
  Band band = WholeOperands(op, axis);
  TakeRows(op, band, 0, axis, rows);
  return band;
}

Result<Band> GlobalPoolGradBand(const OpView& op, int axis, RowRange rows) {
  const Shape& x = op.output_shape(0);
  Band band = WholeOperands(op, axis);
  SetEntry(band.attributes, "input_shape", axis, rows.count());
  if (RoleOf(op, axis, x.rank()) == AxisRole::kSpatial) {
    SetBand(op, band, axis, rows, x);
    return band;
  }
  for (int i = 0; i < op.input_count(); ++i) TakeRows(op, band, i, axis, rows);
  return band;
}

}  // namespace wsi
