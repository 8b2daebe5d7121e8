#include "compiler/ops/elementwise_loss.h"

#include <fmt/format.h>

#include "compiler/ops/band_rules.h"
#include "compiler/ops/cost.h"
#include "compiler/ops/gradient_rules.h"
#include "compiler/ops/operand_check.h"
#include "runtime/base/band.h"

namespace wsi {
namespace {

// Inputs `x` and x + 1: scores and targets.
Status WantPair(const OpView& op, int x) {
  WSI_RETURN_IF_ERROR(WantFloat(op, x));
  WSI_RETURN_IF_ERROR(WantSameType(op, x + 1, x));
  WSI_RETURN_IF_ERROR(WantSameShape(op, x + 1, x));
  if (op.input_shape(x).ElementCount() > 0) return {};
  return InvalidInput(fmt::format("input {} has shape {}: the mean of no elements does not exist",
                                  x, op.input_shape(x).ToString()));
}

InferredTypes InferLoss(const OpView& op) {
  WSI_RETURN_IF_ERROR(WantPair(op, 0));
  return std::vector<TensorType>{{StatisticsType(op.input(0).dtype), Shape()}};
}

InferredTypes InferLossGrad(const OpView& op) {
  WSI_RETURN_IF_ERROR(WantFloatScalar(op, 0));
  WSI_RETURN_IF_ERROR(WantPair(op, 1));
  WSI_RETURN_IF_ERROR(BandOfWhole::Read(op.attributes(), op.input_shape(1)).status());
  return std::vector<TensorType>{TypeOf(op.input(1))};
}

// d/dtarget = -d/dx
Status GradMeanSquaredError(GradBuilder& g) {
  WSI_ASSIGN_OR_RETURN(const ValueId dx,
                       g.Emit("MeanSquaredErrorGrad", {g.OutputGrad(0), g.Input(0), g.Input(1)}));
  if (g.WantsInputGrad(0)) g.SetInputGrad(0, dx);
  if (!g.WantsInputGrad(1)) return {};
  return SetGrad(g, 1, g.Emit("Neg", {dx}));
}

Status GradSigmoidCrossEntropy(GradBuilder& g) {
  if (g.WantsInputGrad(1)) {
    return InvalidInput(fmt::format("{} '{}': the target must not depend on anything trainable",
                                    g.op().op(), g.op().name()));
  }
  return SetGrad(g, 0,
                 g.Emit("SigmoidCrossEntropyGrad", {g.OutputGrad(0), g.Input(0), g.Input(1)}));
}

Cost LossCost(const OpView& op) { return ElementCost(op, 1, 5); }

constexpr std::pair<int, int> kOverOperands[] = {{0, 1}, {0, 2}};

constexpr OpDef Loss(std::string_view name, std::string_view summary, Gradient gradient) {
  return {.name = name,
          .is_onnx = false,
          .summary = summary,
          .min_inputs = 2,
          .max_inputs = 2,
          .infer = InferLoss,
          .gradient = gradient,
          .cost = LossCost,
          .half = HalfPolicy::kFloat32,
          .rows = RowKind::kBarrier,
          .layout = LayoutRule::kFixed};
}

constexpr OpDef LossGradient(std::string_view name, std::string_view summary) {
  OpDef op = Loss(name, summary, {.none_because = kNoSecondDerivative});
  op.min_inputs = 3;
  op.max_inputs = 3;
  op.infer = InferLossGrad;
  op.rows = RowKind::kPointwise;
  op.band = NumberedPointwiseBand;
  op.in_place = kOverOperands;
  return op;
}

}  // namespace

constinit const OpDef kMeanSquaredError =
    Loss("MeanSquaredError", "x, target -> loss = mean((x - target)^2)",
         {.build = GradMeanSquaredError});
constinit const OpDef kMeanSquaredErrorGrad = LossGradient(
    "MeanSquaredErrorGrad", "dloss, x, target -> dx = dloss * 2 * (x - target) / elements");
constinit const OpDef kSigmoidCrossEntropyGrad = LossGradient(
    "SigmoidCrossEntropyGrad",
    "dloss, logits, target -> dlogits = dloss * (sigmoid(logits) - target) / elements");
constinit const OpDef kSigmoidCrossEntropyLoss =
    Loss("SigmoidCrossEntropyLoss",
         "logits, target of the same float type -> loss = mean(max(z, 0) - z * target + ln(1 + "
         "exp(-abs(z)))), z = logits",
         {.build = GradSigmoidCrossEntropy});

}  // namespace wsi
