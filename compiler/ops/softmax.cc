#include "compiler/ops/softmax.h"

#include "compiler/ops/attribute_check.h"
#include "compiler/ops/band_rules.h"
#include "compiler/ops/cost.h"
#include "compiler/ops/gradient_rules.h"
#include "compiler/ops/operand_check.h"

namespace wsi {
namespace {

InferredTypes InferSoftmax(const OpView& op) {
  WSI_RETURN_IF_ERROR(WantFloat(op, 0));
  WSI_RETURN_IF_ERROR(CheckedAxis(op.attributes(), "axis", op.input_shape(0).rank()).status());
  return SameAsInput(op);
}

InferredTypes InferSoftmaxGrad(const OpView& op) {
  WSI_RETURN_IF_ERROR(WantSameType(op, 1, 0));
  WSI_RETURN_IF_ERROR(WantSameShape(op, 1, 0));
  return InferSoftmax(op);
}

Status GradOf(GradBuilder& g, std::string_view gradient_op) {
  return SetGrad(g, 0, g.Emit(gradient_op, {g.OutputGrad(0), g.Output(0)}, g.op().attributes()));
}

Status GradSoftmax(GradBuilder& g) { return GradOf(g, "SoftmaxGrad"); }
Status GradLogSoftmax(GradBuilder& g) { return GradOf(g, "LogSoftmaxGrad"); }

// Maximum, difference, exponential, sum, quotient.
Cost SoftmaxCost(const OpView& op) { return ElementCost(op, 0, 5); }

constexpr OpDef AlongAxis(std::string_view name, std::string_view summary, Gradient gradient) {
  return {.name = name,
          .summary = summary,
          .infer = InferSoftmax,
          .gradient = gradient,
          .cost = SoftmaxCost,
          .half = HalfPolicy::kFloat32,
          .rows = RowKind::kOtherAxes,
          .band = AcrossAxisBand,
          .layout = LayoutRule::kAxes};
}

constexpr OpDef AlongAxisGradient(std::string_view name, std::string_view summary) {
  OpDef op = AlongAxis(name, summary, {.none_because = kNoSecondDerivative});
  op.is_onnx = false;
  op.min_inputs = 2;
  op.max_inputs = 2;
  op.infer = InferSoftmaxGrad;
  return op;
}

}  // namespace

constinit const OpDef kLogSoftmax = AlongAxis(
    "LogSoftmax", "x -> x - ln(sum(exp(x))), sums along {axis >= 0}", {.build = GradLogSoftmax});
constinit const OpDef kLogSoftmaxGrad =
    AlongAxisGradient("LogSoftmaxGrad", "dy, y -> dy - exp(y) * sum(dy), sums along {axis >= 0}");
constinit const OpDef kSoftmax = AlongAxis(
    "Softmax", "x -> exp(x) / sum(exp(x)), sums along {axis >= 0}", {.build = GradSoftmax});
constinit const OpDef kSoftmaxGrad =
    AlongAxisGradient("SoftmaxGrad", "dy, y -> y * (dy - sum(dy * y)), sums along {axis >= 0}");

}  // namespace wsi
