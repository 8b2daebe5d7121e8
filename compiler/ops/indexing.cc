#include "compiler/ops/indexing.h"

#include <fmt/format.h>

#include <limits>

#include "compiler/ops/attribute_check.h"
#include "compiler/ops/band_rules.h"
#include "compiler/ops/cost.h"
#include "compiler/ops/gradient_rules.h"
#include "compiler/ops/operand_check.h"

namespace wsi {
namespace {

// Input `i` and the indices, input 1, agree in rank, and no axis but attribute axis of the
// indices is longer.
Status WantIndicesWithin(const OpView& op, int i) {
  WSI_RETURN_IF_ERROR(WantInteger(op, 1));
  const Shape& x = op.input_shape(i);
  const Shape& indices = op.input_shape(1);
  WSI_ASSIGN_OR_RETURN(const int axis, CheckedAxis(op.attributes(), "axis", x.rank()));
  bool fits = indices.rank() == x.rank();
  for (int a = 0; fits && a < x.rank(); ++a) fits = a == axis || indices[a] <= x[a];
  if (fits) return {};
  return InvalidInput(fmt::format("indices {} do not lie within {} but for axis {}",
                                  indices.ToString(), x.ToString(), axis));
}

InferredTypes InferGatherElements(const OpView& op) {
  WSI_RETURN_IF_ERROR(WantIndicesWithin(op, 0));
  return std::vector<TensorType>{{op.input(0).dtype, op.input_shape(1)}};
}

InferredTypes InferGatherGrad(const OpView& op) {
  WSI_RETURN_IF_ERROR(WantFloat(op, 0));
  WSI_RETURN_IF_ERROR(WantInteger(op, 1));
  WSI_RETURN_IF_ERROR(WantRank(op, 1, 1, 1));
  const Shape& dy = op.input_shape(0);
  WSI_ASSIGN_OR_RETURN(const int axis, CheckedAxis(op.attributes(), "axis", dy.rank()));
  WSI_ASSIGN_OR_RETURN(const int64_t size,
                       CheckedInt(op.attributes(), "size", 0, std::numeric_limits<int64_t>::max()));
  if (dy[axis] != op.input_shape(1)[0]) {
    return InvalidInput(fmt::format("axis {} of {} is not as long as the {} indices", axis,
                                    dy.ToString(), op.input_shape(1)[0]));
  }
  std::vector<int64_t> sizes(dy.begin(), dy.end());
  sizes[static_cast<size_t>(axis)] = size;
  WSI_ASSIGN_OR_RETURN(Shape x, Shape::Make(sizes));
  return std::vector<TensorType>{{op.input(0).dtype, std::move(x)}};
}

InferredTypes InferScatterElements(const OpView& op) {
  WSI_RETURN_IF_ERROR(WantIndicesWithin(op, 0));
  WSI_RETURN_IF_ERROR(WantSameType(op, 2, 0));
  WSI_RETURN_IF_ERROR(WantSameShape(op, 2, 1));
  WSI_ASSIGN_OR_RETURN(const std::string reduction,
                       CheckedString(op.attributes(), "reduction", "none"));
  const bool known = reduction == "none" || reduction == "add" || reduction == "mul" ||
                     reduction == "max" || reduction == "min";
  if (!known) {
    return InvalidInput(
        fmt::format("attribute reduction is '{}', wants none, add, mul, max or min", reduction));
  }
  if (reduction != "none") WSI_RETURN_IF_ERROR(WantNumber(op, 0));
  return SameAsInput(op);
}

Result<ValueId> EmitZeros(GradBuilder& g, const Shape& shape) {
  return g.Emit("Fill", {},
                {{"dtype", std::string(DTypeName(g.op().output(0).dtype))},
                 {"shape", std::vector<int64_t>(shape.begin(), shape.end())},
                 {"value", 0.0}});
}

Attributes AxisOf(const GradBuilder& g) { return {{"axis", g.op().attributes().Int("axis", 0)}}; }

Status GradGatherElements(GradBuilder& g) {
  if (!g.WantsInputGrad(0)) return {};
  const Shape x = g.op().input_shape(0);
  Attributes attributes = AxisOf(g);
  attributes.Set("reduction", std::string("add"));
  WSI_ASSIGN_OR_RETURN(const ValueId zeros, EmitZeros(g, x));
  return SetGrad(g, 0, g.Emit("ScatterElements", {zeros, g.Input(1), g.OutputGrad(0)}, attributes));
}

// What is overwritten gets no gradient. Of several updates of one element the last one
// counts in the result; ONNX calls that undefined, and each of them gets the gradient.
Status GradScatterElements(GradBuilder& g) {
  const std::string reduction = g.op().attributes().String("reduction", "none");
  if (reduction != "none" && reduction != "add") {
    return InvalidInput(
        fmt::format("ScatterElements '{}': no gradient rule for reduction {}; there is one for "
                    "none and add",
                    g.op().name(), reduction));
  }
  const Shape updates = g.op().input_shape(1);
  const Attributes axis = AxisOf(g);
  if (g.WantsInputGrad(0) && reduction == "add") g.SetInputGrad(0, g.OutputGrad(0));
  if (g.WantsInputGrad(0) && reduction == "none") {
    WSI_ASSIGN_OR_RETURN(const ValueId zeros, EmitZeros(g, updates));
    WSI_RETURN_IF_ERROR(
        SetGrad(g, 0, g.Emit("ScatterElements", {g.OutputGrad(0), g.Input(1), zeros}, axis)));
  }
  if (!g.WantsInputGrad(2)) return {};
  return SetGrad(g, 2, g.Emit("GatherElements", {g.OutputGrad(0), g.Input(1)}, axis));
}

constexpr OpDef Indexing(std::string_view name, std::string_view summary, int inputs,
                         InferFunction infer, Gradient gradient, BandFunction band) {
  return {.name = name,
          .summary = summary,
          .min_inputs = inputs,
          .max_inputs = inputs,
          .infer = infer,
          .gradient = gradient,
          .cost = MoveCost,
          .half = HalfPolicy::kNeutral,
          .rows = RowKind::kOtherAxes,
          .band = band,
          .layout = LayoutRule::kFixed};
}

}  // namespace

constinit const OpDef kGatherElements = Indexing(
    "GatherElements",
    "x, indices i64 or i32 (negative: from the back) -> y[.., i, ..] = x[.., indices[.., i, ..], "
    "..] along {axis >= 0}",
    2, InferGatherElements, {.build = GradGatherElements}, AcrossAxisBand);
constinit const OpDef kGatherGrad = [] {
  OpDef op = Indexing("GatherGrad",
                      "dy, indices[M] -> dx, the sums of dy's slices with one index along {axis "
                      ">= 0, size: of x's axis}",
                      2, InferGatherGrad, {.none_because = kNoSecondDerivative}, GatherGradBand);
  op.is_onnx = false;
  op.half = HalfPolicy::kMatrix;
  op.layout = LayoutRule::kAxes;
  return op;
}();
constinit const OpDef kScatterElements =
    Indexing("ScatterElements",
             "x, indices i64 or i32, updates -> x with the updates at their indices along {axis "
             ">= 0, reduction=none: or add, mul, max, min}",
             3, InferScatterElements, {.build = GradScatterElements}, ScatterElementsBand);

}  // namespace wsi
