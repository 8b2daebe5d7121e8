#include "compiler/ops/cost.h"

namespace wsi {
namespace {

double BytesOf(const Value& value) {
  return static_cast<double>(value.shape.ByteCount(value.dtype));
}

}  // namespace

double BytesTouched(const OpView& op) {
  double bytes = 0;
  for (int i = 0; i < op.input_count(); ++i) {
    if (op.HasInput(i)) bytes += BytesOf(op.input(i));
  }
  for (int i = 0; i < op.output_count(); ++i) {
    if (op.HasOutput(i)) bytes += BytesOf(op.output(i));
  }
  return bytes;
}

Cost PointwiseCost(const OpView& op) {
  const double elements =
      op.HasOutput(0) ? static_cast<double>(op.output_shape(0).ElementCount()) : 0;
  return {elements, BytesTouched(op)};
}

Cost ReadCost(const OpView& op) { return ElementCost(op, 0, 1); }

Cost MoveCost(const OpView& op) { return {0, BytesTouched(op)}; }

Cost ViewCost(const OpView& /*op*/) { return {}; }

Cost ElementCost(const OpView& op, int i, double per_element) {
  const double elements =
      op.HasInput(i) ? static_cast<double>(op.input_shape(i).ElementCount()) : 0;
  return {per_element * elements, BytesTouched(op)};
}

}  // namespace wsi
