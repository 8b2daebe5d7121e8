#include "compiler/ops/layer_normalization.h"

#include "compiler/ops/attribute_check.h"
#include "compiler/ops/band_rules.h"
#include "compiler/ops/cost.h"
#include "compiler/ops/gradient_rules.h"
#include "compiler/ops/operand_check.h"

namespace wsi {
namespace {

struct NormTypes {
  TensorType elements;    // Of scale and bias: the axes from `axis` on.
  TensorType statistics;  // Ones at these axes.
};

// Checks tensor `i`, whose axes from attribute `axis` on are normalized.
Result<NormTypes> CheckNorm(const OpView& op, int i) {
  WSI_RETURN_IF_ERROR(WantFloat(op, i));
  const Shape& x = op.input_shape(i);
  WSI_ASSIGN_OR_RETURN(const int axis, CheckedAxis(op.attributes(), "axis", x.rank()));
  std::vector<int64_t> statistics(x.begin(), x.end());
  std::fill(statistics.begin() + axis, statistics.end(), 1);
  const DType dtype = StatisticsType(op.input(i).dtype);
  WSI_ASSIGN_OR_RETURN(Shape elements, Shape::Make(x.sizes().subspan(static_cast<size_t>(axis))));
  WSI_ASSIGN_OR_RETURN(Shape kept, Shape::Make(statistics));
  return NormTypes{{dtype, std::move(elements)}, {dtype, std::move(kept)}};
}

Status WantLike(const OpView& op, int i, const TensorType& type) {
  WSI_RETURN_IF_ERROR(WantType(op, i, type.dtype));
  return WantShape(op, i, type.shape);
}

InferredTypes InferNorm(const OpView& op) {
  WSI_ASSIGN_OR_RETURN(const NormTypes types, CheckNorm(op, 0));
  for (int i = 1; i < op.input_count(); ++i) {
    WSI_RETURN_IF_ERROR(WantLike(op, i, types.elements));
  }
  WSI_RETURN_IF_ERROR(CheckedFloat(op.attributes(), "epsilon", 1e-5, 0.0, 1e9).status());
  return std::vector<TensorType>{TypeOf(op.input(0)), types.statistics, types.statistics};
}

InferredTypes InferRMSNormalization(const OpView& op) {
  WSI_ASSIGN_OR_RETURN(std::vector<TensorType> types, InferNorm(op));
  types.pop_back();
  return types;
}

// dy, x, scale, then statistics.
InferredTypes InferNormGrad(const OpView& op) {
  WSI_ASSIGN_OR_RETURN(const NormTypes types, CheckNorm(op, 0));
  WSI_RETURN_IF_ERROR(WantLike(op, 1, TypeOf(op.input(0))));
  WSI_RETURN_IF_ERROR(WantLike(op, 2, types.elements));
  for (int i = 3; i < op.input_count(); ++i) {
    WSI_RETURN_IF_ERROR(WantLike(op, i, types.statistics));
  }
  return std::vector<TensorType>{TypeOf(op.input(0)), types.elements, types.elements};
}

InferredTypes InferRMSNormGrad(const OpView& op) {
  WSI_ASSIGN_OR_RETURN(std::vector<TensorType> types, InferNormGrad(op));
  types.pop_back();
  return types;
}

// Emits `gradient_op` on dy, x, scale and the statistics.
Status GradNorm(GradBuilder& g, std::string_view gradient_op, int statistics) {
  WSI_RETURN_IF_ERROR(OnlyFirstOutput(g));
  const ValueId dy = g.OutputGrad(0);
  if (!dy.valid()) return {};
  const int inputs = g.op().input_count();
  std::vector<ValueId> operands = {dy, g.Input(0), g.Input(1)};
  for (int i = 1; i <= statistics; ++i) operands.push_back(NeedOutput(g, i));
  Attributes attributes = g.op().attributes();
  attributes.Erase("epsilon");
  WSI_ASSIGN_OR_RETURN(
      const std::vector<ValueId> gradients,
      g.EmitMany(gradient_op, std::move(operands), std::move(attributes), statistics + 1));
  for (int i = 0; i < inputs; ++i) {
    if (g.WantsInputGrad(i)) g.SetInputGrad(i, gradients[static_cast<size_t>(i)]);
  }
  return {};
}

Status GradLayerNormalization(GradBuilder& g) { return GradNorm(g, "LayerNormGrad", 2); }
Status GradRMSNormalization(GradBuilder& g) { return GradNorm(g, "RMSNormGrad", 1); }

Cost NormCost(const OpView& op) { return ElementCost(op, 0, 8); }

constexpr int kForwardFloat32[] = {1, 2};
constexpr int kGradFloat32[] = {2, 3, 4};

constexpr OpDef Norm(std::string_view name, std::string_view summary, InferFunction infer,
                     Gradient gradient, int inputs, int outputs) {
  return {.name = name,
          .summary = summary,
          .min_inputs = inputs,
          .max_inputs = inputs,
          .max_outputs = outputs,
          .infer = infer,
          .gradient = gradient,
          .cost = NormCost,
          .half = HalfPolicy::kMatrix,
          .float32_inputs = std::span(kForwardFloat32).first(inputs > 2 ? 2 : 1),
          .rows = RowKind::kOtherAxes,
          .band = RowNormBand,
          .layout = LayoutRule::kFixed};
}

constexpr OpDef NormGrad(std::string_view name, std::string_view summary, InferFunction infer,
                         int inputs, int outputs) {
  OpDef op = Norm(name, summary, infer, {.none_because = kNoSecondDerivative}, inputs, outputs);
  op.is_onnx = false;
  op.min_outputs = outputs;
  op.float32_inputs = std::span(kGradFloat32).first(static_cast<size_t>(inputs) - 2);
  return op;
}

}  // namespace

constinit const OpDef kLayerNormGrad =
    NormGrad("LayerNormGrad", "dy, x, scale, mean, inv_std -> dx, dscale, dbias {axis >= 0}",
             InferNormGrad, 5, 3);
constinit const OpDef kLayerNormalization = [] {
  OpDef op = Norm("LayerNormalization",
                  "x, scale, [bias] -> (x - mean) * inv_std * scale + bias, [mean, inv_std = 1 / "
                  "sqrt(var + epsilon)] over the axes from {axis >= 0} on {epsilon=1e-5}; scale "
                  "and bias have these axes' sizes",
                  InferNorm, {.build = GradLayerNormalization}, 3, 3);
  op.min_inputs = 2;
  return op;
}();
constinit const OpDef kRMSNormGrad = NormGrad(
    "RMSNormGrad", "dy, x, scale, inv_rms -> dx, dscale {axis >= 0}", InferRMSNormGrad, 4, 2);
constinit const OpDef kRMSNormalization =
    Norm("RMSNormalization",
         "x, scale -> x * inv_rms * scale, [inv_rms = 1 / sqrt(mean(x^2) + epsilon)] over the "
         "axes from {axis >= 0} on {epsilon=1e-5}; scale has these axes' sizes",
         InferRMSNormalization, {.build = GradRMSNormalization}, 2, 2);

}  // namespace wsi
