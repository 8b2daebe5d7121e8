#include "compiler/ops/along_axis.h"

#include <fmt/format.h>

#include "compiler/ops/attribute_check.h"
#include "compiler/ops/band_rules.h"
#include "compiler/ops/cost.h"
#include "compiler/ops/gradient_rules.h"
#include "compiler/ops/operand_check.h"

namespace wsi {
namespace {

InferredTypes InferArgExtreme(const OpView& op) {
  WSI_RETURN_IF_ERROR(WantNumber(op, 0));
  const Shape& x = op.input_shape(0);
  WSI_ASSIGN_OR_RETURN(const int axis, CheckedAxis(op.attributes(), "axis", x.rank()));
  WSI_ASSIGN_OR_RETURN(const bool keep, CheckedFlag(op.attributes(), "keepdims", true));
  WSI_RETURN_IF_ERROR(CheckedFlag(op.attributes(), "select_last_index", false).status());
  if (x[axis] == 0) {
    return InvalidInput(
        fmt::format("axis {} of {} is empty: there is no extreme", axis, x.ToString()));
  }
  std::vector<int64_t> sizes(x.begin(), x.end());
  if (keep) {
    sizes[static_cast<size_t>(axis)] = 1;
  } else {
    sizes.erase(sizes.begin() + axis);
  }
  WSI_ASSIGN_OR_RETURN(Shape y, Shape::Make(sizes));
  return std::vector<TensorType>{{DType::kI64, std::move(y)}};
}

InferredTypes InferCumSum(const OpView& op) {
  WSI_RETURN_IF_ERROR(WantNumber(op, 0));
  WSI_RETURN_IF_ERROR(CheckedAxis(op.attributes(), "axis", op.input_shape(0).rank()).status());
  WSI_RETURN_IF_ERROR(CheckedFlag(op.attributes(), "exclusive", false).status());
  WSI_RETURN_IF_ERROR(CheckedFlag(op.attributes(), "reverse", false).status());
  return SameAsInput(op);
}

InferredTypes InferTopK(const OpView& op) {
  WSI_RETURN_IF_ERROR(WantNumber(op, 0));
  const Shape& x = op.input_shape(0);
  WSI_ASSIGN_OR_RETURN(const int axis, CheckedAxis(op.attributes(), "axis", x.rank()));
  WSI_ASSIGN_OR_RETURN(const int64_t k, CheckedInt(op.attributes(), "k", 0, x[axis]));
  WSI_RETURN_IF_ERROR(CheckedFlag(op.attributes(), "largest", true).status());
  std::vector<int64_t> sizes(x.begin(), x.end());
  sizes[static_cast<size_t>(axis)] = k;
  WSI_ASSIGN_OR_RETURN(const Shape y, Shape::Make(sizes));
  return std::vector<TensorType>{{op.input(0).dtype, y}, {DType::kI64, y}};
}

// An element of dy is in the sums of all elements before it: the same in reverse.
Status GradCumSum(GradBuilder& g) {
  Attributes attributes = g.op().attributes();
  attributes.Set("reverse", int64_t{1} - attributes.Int("reverse", 0));
  return SetGrad(g, 0, g.Emit("CumSum", {g.OutputGrad(0)}, attributes));
}

// dy goes back to where its values came from.
Status GradTopK(GradBuilder& g) {
  const ValueId dy = g.OutputGrad(0);
  if (!dy.valid()) return {};
  const Shape x = g.op().input_shape(0);
  const int64_t axis = g.op().attributes().Int("axis", 0);
  const std::string dtype(DTypeName(g.op().input(0).dtype));
  const ValueId indices = NeedOutput(g, 1);
  WSI_ASSIGN_OR_RETURN(
      const ValueId zeros,
      g.Emit(
          "Fill", {},
          {{"dtype", dtype}, {"shape", std::vector<int64_t>(x.begin(), x.end())}, {"value", 0.0}}));
  return SetGrad(g, 0,
                 g.Emit("ScatterElements", {zeros, indices, dy},
                        {{"axis", axis}, {"reduction", std::string("add")}}));
}

constexpr std::string_view kNoDerivative = "positions have no derivative";

constexpr OpDef AlongAxis(std::string_view name, std::string_view summary, InferFunction infer,
                          Gradient gradient, LayoutRule layout, BandFunction band) {
  return {.name = name,
          .summary = summary,
          .infer = infer,
          .gradient = gradient,
          .cost = ReadCost,
          .half = HalfPolicy::kSafe,
          .rows = RowKind::kOtherAxes,
          .band = band,
          .layout = layout};
}

}  // namespace

constinit const OpDef kArgMax =
    AlongAxis("ArgMax",
              "x -> i64 index of the maximum along {axis >= 0, keepdims=1, "
              "select_last_index=0: of several, the last}",
              InferArgExtreme, {.none_because = kNoDerivative}, LayoutRule::kFixed, ArgExtremeBand);
constinit const OpDef kArgMin =
    AlongAxis("ArgMin",
              "x -> i64 index of the minimum along {axis >= 0, keepdims=1, "
              "select_last_index=0: of several, the last}",
              InferArgExtreme, {.none_because = kNoDerivative}, LayoutRule::kFixed, ArgExtremeBand);
constinit const OpDef kCumSum = [] {
  OpDef op = AlongAxis("CumSum",
                       "x -> sums of the elements up to each along {axis >= 0, exclusive=0: "
                       "without it, reverse=0: from the end}",
                       InferCumSum, {.build = GradCumSum}, LayoutRule::kAxes, AcrossAxisBand);
  op.half = HalfPolicy::kMatrix;
  return op;
}();
constinit const OpDef kTopK = [] {
  OpDef op = AlongAxis("TopK",
                       "x -> the k largest along {axis >= 0, k, largest=1} in order, [their i64 "
                       "indices]; of equal ones the first comes first",
                       InferTopK, {.build = GradTopK}, LayoutRule::kAxes, AcrossAxisBand);
  op.max_outputs = 2;
  return op;
}();

}  // namespace wsi
