#include "compiler/ops/rows.h"

#include <fmt/format.h>

#include "compiler/ops/attribute_check.h"
#include "compiler/ops/band_rules.h"
#include "compiler/ops/spatial.h"

namespace wsi {
namespace {

std::string Where(const OpView& op) { return fmt::format("{} '{}'", op.op(), op.name()); }

// What rows are counted in.
const Shape& RowShape(const OpView& op, const OpDef& def) {
  return def.summed_input >= 0 ? op.input_shape(def.summed_input) : op.output_shape(0);
}

std::string_view WhyNoBands(RowKind kind) {
  return kind == RowKind::kNone ? "it has no rows" : "it needs every row";
}

}  // namespace

Band WholeOperands(const OpView& op, int axis) {
  const OpDef& def = *FindOp(op.op());
  const int outputs = def.max_outputs < 0 ? op.output_count() : def.max_outputs;
  Band band;
  band.inputs.resize(static_cast<size_t>(op.input_count()));
  band.output_axes.assign(static_cast<size_t>(outputs), axis);
  band.attributes = op.attributes();
  return band;
}

void TakeRows(const OpView& op, Band& band, int i, int axis, RowRange rows) {
  if (!op.HasInput(i)) return;
  BandOperand& operand = band.inputs[static_cast<size_t>(i)];
  operand.axis = axis;
  operand.rows = rows;
}

Status NeedsEveryRow(const OpView& op, int axis) {
  return InvalidInput(
      fmt::format("{} has no bands along axis {}: it works along that axis", Where(op), axis));
}

void SetEntry(Attributes& attributes, std::string_view name, int index, int64_t value) {
  std::vector<int64_t> values = attributes.Ints(name);
  values[static_cast<size_t>(index)] = value;
  attributes.Set(name, std::move(values));
}

Result<Band> PointwiseBand(const OpView& op, int axis, RowRange rows) {
  Band band = WholeOperands(op, axis);
  const Shape& y = op.output_shape(0);
  for (int i = 0; i < op.input_count(); ++i) {
    if (!op.HasInput(i)) continue;
    const Shape& x = op.input_shape(i);
    const int own = axis - (y.rank() - x.rank());  // Shapes broadcast from the last axis on.
    if (own >= 0 && x[own] == y[axis]) TakeRows(op, band, i, own, rows);
  }
  return band;
}

Result<Band> PointwiseProgramBand(const OpView& op, int axis, RowRange rows) {
  if (!op.attributes().Ints("sums").empty()) return NeedsEveryRow(op, axis);
  return PointwiseBand(op, axis, rows);
}

Result<Band> ChannelwiseBand(const OpView& op, int axis, RowRange rows) {
  const Shape& x = op.input_shape(0);
  WSI_ASSIGN_OR_RETURN(const bool channels_last, ChannelsLast(op.attributes()));
  const bool channels = axis == ChannelAxis(x.rank(), channels_last);
  Band band = WholeOperands(op, axis);
  for (int i = 0; i < op.input_count(); ++i) {
    if (!op.HasInput(i)) continue;
    if (op.input_shape(i) == x) {
      TakeRows(op, band, i, axis, rows);
    } else if (channels) {
      TakeRows(op, band, i, 0, rows);
    }
  }
  return band;
}

Result<Band> ChannelSumsBand(const OpView& op, int axis, RowRange rows) {
  const Shape& x = op.input_shape(0);
  WSI_ASSIGN_OR_RETURN(const bool channels_last, ChannelsLast(op.attributes()));
  WSI_ASSIGN_OR_RETURN(Band band, ChannelwiseBand(op, axis, rows));
  const bool channels = axis == ChannelAxis(x.rank(), channels_last);
  for (size_t i = 0; i < 2; ++i) band.output_axes[i] = channels ? 0 : -1;
  return band;
}

void SetBand(const OpView& op, Band& band, int axis, RowRange rows, const Shape& whole) {
  WSI_CHECK(!op.attributes().Has("band"));
  band.attributes.Set("band", std::vector<int64_t>{axis, rows.begin, whole[axis]});
}

Result<Band> NumberedPointwiseBand(const OpView& op, int axis, RowRange rows) {
  WSI_ASSIGN_OR_RETURN(Band band, PointwiseBand(op, axis, rows));
  SetBand(op, band, axis, rows, op.output_shape(0));
  return band;
}

Result<Band> NumberedChannelwiseBand(const OpView& op, int axis, RowRange rows) {
  WSI_ASSIGN_OR_RETURN(Band band, ChannelwiseBand(op, axis, rows));
  WSI_ASSIGN_OR_RETURN(const bool channels_last, ChannelsLast(op.attributes()));
  const Shape& y = op.output_shape(0);
  if (axis != ChannelAxis(y.rank(), channels_last)) SetBand(op, band, axis, rows, y);
  return band;
}

Result<Band> FillBand(const OpView& op, int axis, RowRange rows) {
  Band band = WholeOperands(op, axis);
  SetEntry(band.attributes, "shape", axis, rows.count());
  return band;
}

Result<int64_t> RowCount(const OpView& op, int axis) {
  const OpDef& def = *FindOp(op.op());
  const Shape& shape = RowShape(op, def);
  if (axis < 0 || axis >= shape.rank()) {
    return InvalidInput(
        fmt::format("{} has no rows along axis {} of {}", Where(op), axis, shape.ToString()));
  }
  return shape[axis];
}

Result<Band> BandOf(const OpView& op, int axis, RowRange rows) {
  const OpDef& def = *FindOp(op.op());
  const auto rule =
      def.band == nullptr && def.rows == RowKind::kPointwise ? PointwiseBand : def.band;
  if (rule == nullptr) {
    return InvalidInput(fmt::format("{} has no bands: {}", Where(op), WhyNoBands(def.rows)));
  }
  if (op.attributes().Has("band")) {
    return InvalidInput(fmt::format("{} is a band already", Where(op)));
  }
  WSI_ASSIGN_OR_RETURN(const int64_t count, RowCount(op, axis));
  WSI_CHECK(0 <= rows.begin && rows.begin < rows.end && rows.end <= count);
  return rule(op, axis, rows);
}

Result<int64_t> RowsNeeded(const OpView& op, int axis, int input, int64_t end) {
  WSI_ASSIGN_OR_RETURN(const int64_t count, RowCount(op, axis));
  if (end == 0) return int64_t{0};
  WSI_ASSIGN_OR_RETURN(const Band band, BandOf(op, axis, {0, end}));
  const BandOperand& operand = band.inputs[static_cast<size_t>(input)];
  if (operand.axis < 0) {
    return InvalidInput(fmt::format("{}: input {} is needed as it is", Where(op), input));
  }
  return end == count ? op.input_shape(input)[operand.axis] : operand.rows.end;
}

Result<int64_t> FinalGradientRows(const OpView& op, int axis, int input, int64_t end) {
  WSI_ASSIGN_OR_RETURN(const int64_t count, RowCount(op, axis));
  const RowRange rest = {end < count ? end : 0, count};
  WSI_ASSIGN_OR_RETURN(const Band band, BandOf(op, axis, rest));
  const BandOperand& operand = band.inputs[static_cast<size_t>(input)];
  if (operand.axis < 0) {
    return InvalidInput(fmt::format("{}: input {} is needed as it is", Where(op), input));
  }
  return end == count ? op.input_shape(input)[operand.axis] : operand.rows.begin;
}

std::optional<int> RowAxisBehind(const OpView& op, int input, int axis) {
  for (int candidate = 0; RowCount(op, candidate).ok(); ++candidate) {
    const Result<Band> band = BandOf(op, candidate, {0, RowCount(op, candidate).value()});
    if (band.ok() && band->inputs[static_cast<size_t>(input)].axis == axis) return candidate;
  }
  return {};
}

}  // namespace wsi
