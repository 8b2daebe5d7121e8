#include "compiler/ops/slicing.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <numeric>

#include "compiler/ops/attribute_check.h"
#include "compiler/ops/band_rules.h"
#include "compiler/ops/cost.h"
#include "compiler/ops/evaluate.h"
#include "compiler/ops/gradient_rules.h"
#include "compiler/ops/operand_check.h"

namespace wsi {
namespace {

constexpr int64_t kLowest = std::numeric_limits<int64_t>::min();
constexpr int64_t kHighest = std::numeric_limits<int64_t>::max();

struct SliceBounds {
  std::vector<int64_t> starts;
  std::vector<int64_t> ends;
  std::vector<int64_t> axes;
  std::vector<int64_t> steps;
};

// ceil(distance / step) for a distance in the direction of the step, else 0.
// REQUIRES: step != 0 and bounds within [-1, 2^60], so that the distance fits.
int64_t StepsBetween(int64_t start, int64_t end, int64_t step) {
  const int64_t distance = end - start;
  if (distance == 0 || (distance > 0) != (step > 0)) return 0;
  const int64_t rest = distance % step == 0 ? 0 : 1;
  return distance / step + rest;
}

Result<SliceBounds> CheckedBounds(const Attributes& attributes, const Shape& shape) {
  SliceBounds bounds;
  WSI_ASSIGN_OR_RETURN(bounds.axes, CheckedAxes(attributes, "axes", shape.rank()));
  const int count = static_cast<int>(bounds.axes.size());
  WSI_ASSIGN_OR_RETURN(bounds.starts, CheckedInts(attributes, "starts", 0, kHighest, count));
  WSI_ASSIGN_OR_RETURN(bounds.ends, CheckedInts(attributes, "ends", -1, kHighest, count));
  WSI_ASSIGN_OR_RETURN(bounds.steps, CheckedInts(attributes, "steps", kLowest, kHighest, count));
  for (size_t i = 0; i < bounds.axes.size(); ++i) {
    const int64_t size = shape[static_cast<int>(bounds.axes[i])];
    const int64_t start = bounds.starts[i];
    const int64_t end = bounds.ends[i];
    const int64_t step = bounds.steps[i];
    const bool up = step > 0 && start <= end && end <= size;
    const bool down = step < 0 && end <= start && start < size;
    if (!up && !down) {
      return InvalidInput(
          fmt::format("start {}, end {}, step {} are no canonical slice of axis {} "
                      "of shape {}",
                      start, end, step, bounds.axes[i], shape.ToString()));
    }
  }
  return bounds;
}

// The shape of the slice of a tensor of shape `shape`.
Result<Shape> SlicedShape(const SliceBounds& bounds, const Shape& shape) {
  std::vector<int64_t> sizes(shape.begin(), shape.end());
  for (size_t i = 0; i < bounds.axes.size(); ++i) {
    sizes[static_cast<size_t>(bounds.axes[i])] =
        StepsBetween(bounds.starts[i], bounds.ends[i], bounds.steps[i]);
  }
  return Shape::Make(sizes);
}

InferredTypes InferSlice(const OpView& op) {
  const Shape& x = op.input_shape(0);
  WSI_ASSIGN_OR_RETURN(const SliceBounds bounds, CheckedBounds(op.attributes(), x));
  WSI_ASSIGN_OR_RETURN(Shape y, SlicedShape(bounds, x));
  return std::vector<TensorType>{{op.input(0).dtype, std::move(y)}};
}

InferredTypes InferSliceGrad(const OpView& op) {
  WSI_RETURN_IF_ERROR(WantFloat(op, 0));
  WSI_ASSIGN_OR_RETURN(Shape x, CheckedShape(op.attributes(), "input_shape"));
  WSI_ASSIGN_OR_RETURN(const SliceBounds bounds, CheckedBounds(op.attributes(), x));
  WSI_ASSIGN_OR_RETURN(const Shape y, SlicedShape(bounds, x));
  WSI_RETURN_IF_ERROR(WantShape(op, 0, y));
  return std::vector<TensorType>{{op.input(0).dtype, std::move(x)}};
}

Status GradSlice(GradBuilder& g) {
  Attributes attributes = g.op().attributes();
  const Shape& x = g.op().input_shape(0);
  attributes.Set("input_shape", std::vector<int64_t>(x.begin(), x.end()));
  return SetGrad(g, 0, g.Emit("SliceGrad", {g.OutputGrad(0)}, std::move(attributes)));
}

FoldedTensors FoldSlice(const OpView& op, std::span<const Tensor* const> inputs) {
  const Tensor& x = Constant(inputs, 0);
  WSI_ASSIGN_OR_RETURN(const SliceBounds bounds, CheckedBounds(op.attributes(), x.shape()));
  WSI_ASSIGN_OR_RETURN(const Shape y, SlicedShape(bounds, x.shape()));
  if (y.ElementCount() == 0) return OneTensor(Tensor::Make(x.dtype(), y));
  std::vector<int64_t> strides = RowMajorStrides(x.shape());
  int64_t offset = 0;
  for (size_t i = 0; i < bounds.axes.size(); ++i) {
    const auto axis = static_cast<size_t>(bounds.axes[i]);
    offset += bounds.starts[i] * strides[axis];
    // A step is only taken, and then fits, where the slice has a second element.
    strides[axis] = y[static_cast<int>(axis)] > 1 ? strides[axis] * bounds.steps[i] : 0;
  }
  return OneTensor(CopyStrided(x, y, y.sizes(), strides, offset));
}

}  // namespace

constinit const OpDef kSlice = {
    .name = "Slice",
    .summary =
        "x -> x[start, start + step, ... before end] along each axis of {starts, ends, axes, "
        "steps}: all explicit, axes >= 0; step > 0: 0 <= start <= end <= size; step < 0: -1 "
        "<= end <= start < size, -1 being before the first. Split becomes this",
    .infer = InferSlice,
    .gradient = {.build = GradSlice},
    .cost = MoveCost,
    .half = HalfPolicy::kNeutral,
    .rows = RowKind::kMoved,
    .band = SliceBand,
    .layout = LayoutRule::kAxes,
    .fold = FoldSlice};
constinit const OpDef kSliceGrad = {
    .name = "SliceGrad",
    .is_onnx = false,
    .summary = "dy -> zeros of {input_shape} with dy at {starts, ends, axes, steps} as in Slice",
    .infer = InferSliceGrad,
    .gradient = {.none_because = kNoSecondDerivative},
    .cost = MoveCost,
    .half = HalfPolicy::kNeutral,
    .rows = RowKind::kMoved,
    .band = SliceGradBand,
    .layout = LayoutRule::kAxes};

Result<Attributes> NormalizeSlice(const Shape& shape, std::span<const int64_t> starts,
                                  std::span<const int64_t> ends, std::span<const int64_t> axes,
                                  std::span<const int64_t> steps) {
  SliceBounds bounds;
  bounds.axes.assign(axes.begin(), axes.end());
  if (axes.empty()) {
    bounds.axes.resize(starts.size());
    std::iota(bounds.axes.begin(), bounds.axes.end(), int64_t{0});
  }
  bounds.steps.assign(steps.begin(), steps.end());
  if (steps.empty()) bounds.steps.assign(starts.size(), 1);
  if (ends.size() != starts.size() || bounds.axes.size() != starts.size() ||
      bounds.steps.size() != starts.size()) {
    return InvalidInput(fmt::format("{} starts, {} ends, {} axes and {} steps do not match",
                                    starts.size(), ends.size(), bounds.axes.size(),
                                    bounds.steps.size()));
  }
  for (size_t i = 0; i < starts.size(); ++i) {
    WSI_ASSIGN_OR_RETURN(const int axis, NormalizeAxis(bounds.axes[i], shape.rank()));
    const int64_t step = bounds.steps[i];
    if (step == 0) return InvalidInput(fmt::format("step of axis {} is 0", axis));
    const int64_t size = shape[axis];
    // As ONNX clamps; behind a step down, an end of -1 is before the first element.
    const int64_t high = step > 0 ? size : std::max<int64_t>(size - 1, 0);
    const auto bring_in = [&](int64_t bound, int64_t low) {
      return std::clamp(bound < 0 ? bound + size : bound, low, high);
    };
    const int64_t start = bring_in(starts[i], 0);
    const int64_t end = bring_in(ends[i], step > 0 ? 0 : -1);
    bounds.axes[i] = axis;
    bounds.starts.push_back(start);
    bounds.ends.push_back(step > 0 ? std::max(start, end) : std::min(start, end));
    if (size > 0) continue;
    bounds.ends.back() = 0;
    bounds.steps[i] = 1;
  }
  return Attributes{{"axes", bounds.axes},
                    {"ends", bounds.ends},
                    {"starts", bounds.starts},
                    {"steps", bounds.steps}};
}

}  // namespace wsi
