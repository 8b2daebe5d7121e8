#include "compiler/ops/classification_loss.h"

#include <fmt/format.h>

#include <limits>

#include "compiler/ops/attribute_check.h"
#include "compiler/ops/cost.h"
#include "compiler/ops/gradient_rules.h"
#include "compiler/ops/operand_check.h"

namespace wsi {
namespace {

Status WantLossAttributes(const OpView& op) {
  constexpr int64_t kLowest = std::numeric_limits<int64_t>::min();
  constexpr int64_t kHighest = std::numeric_limits<int64_t>::max();
  WSI_ASSIGN_OR_RETURN(const std::string reduction,
                       CheckedString(op.attributes(), "reduction", "mean"));
  if (reduction != "mean" && reduction != "sum") {
    return InvalidInput(
        fmt::format("attribute reduction is '{}', wants 'mean' or 'sum'", reduction));
  }
  return CheckedInt(op.attributes(), "ignore_index", kLowest, kHighest, 0).status();
}

// Checks targets (input `target`) and class weights (the input behind it) against scores
// of shape `scores` and type `dtype`.
Status WantTargets(const OpView& op, int target, const Shape& scores, DType dtype) {
  WSI_RETURN_IF_ERROR(WantLossAttributes(op));
  if (scores.rank() < 2 || scores.ElementCount() == 0) {
    return InvalidInput(fmt::format(
        "scores have shape {}, wants batch, classes and any further axes, none of size 0",
        scores.ToString()));
  }
  std::vector<int64_t> sizes(scores.begin(), scores.end());
  sizes.erase(sizes.begin() + 1);
  WSI_ASSIGN_OR_RETURN(const Shape positions, Shape::Make(sizes));
  WSI_RETURN_IF_ERROR(WantType(op, target, DType::kI64));
  WSI_RETURN_IF_ERROR(WantShape(op, target, positions));
  WSI_RETURN_IF_ERROR(WantType(op, target + 1, dtype));
  return WantShape(op, target + 1, Shape{scores[1]});
}

InferredTypes InferNegativeLogLikelihoodLoss(const OpView& op) {
  const Value& scores = op.input(0);
  WSI_RETURN_IF_ERROR(WantFloat(op, 0));
  WSI_RETURN_IF_ERROR(WantTargets(op, 1, scores.shape, scores.dtype));
  return std::vector<TensorType>{{StatisticsType(scores.dtype), Shape()}};
}

InferredTypes InferSoftmaxCrossEntropyLoss(const OpView& op) {
  WSI_ASSIGN_OR_RETURN(std::vector<TensorType> types, InferNegativeLogLikelihoodLoss(op));
  types.push_back(TypeOf(op.input(0)));
  return types;
}

InferredTypes InferSoftmaxCrossEntropyGrad(const OpView& op) {
  const Value& log_prob = op.input(1);
  WSI_RETURN_IF_ERROR(WantFloatScalar(op, 0));
  WSI_RETURN_IF_ERROR(WantFloat(op, 1));
  WSI_RETURN_IF_ERROR(WantTargets(op, 2, log_prob.shape, log_prob.dtype));
  return std::vector<TensorType>{TypeOf(log_prob)};
}

InferredTypes InferNegativeLogLikelihoodGrad(const OpView& op) {
  WSI_RETURN_IF_ERROR(WantFloatScalar(op, 0));
  WSI_ASSIGN_OR_RETURN(Shape scores, CheckedShape(op.attributes(), "input_shape"));
  WSI_RETURN_IF_ERROR(WantTargets(op, 1, scores, op.input(0).dtype));
  return std::vector<TensorType>{{op.input(0).dtype, std::move(scores)}};
}

// `inputs` are those of the gradient ahead of the class weights.
Status GradOf(GradBuilder& g, std::string_view gradient_op, std::vector<ValueId> inputs,
              Attributes attributes) {
  if (g.op().HasInput(2)) {
    if (g.WantsInputGrad(2)) {
      return InvalidInput(fmt::format("{} '{}': class weights are constants of the loss",
                                      g.op().op(), g.op().name()));
    }
    inputs.push_back(g.Input(2));
  }
  return SetGrad(g, 0, g.Emit(gradient_op, std::move(inputs), std::move(attributes)));
}

Status GradNegativeLogLikelihoodLoss(GradBuilder& g) {
  Attributes attributes = g.op().attributes();
  const Shape& scores = g.op().input_shape(0);
  attributes.Set("input_shape", std::vector<int64_t>(scores.begin(), scores.end()));
  return GradOf(g, "NegativeLogLikelihoodGrad", {g.OutputGrad(0), g.Input(1)},
                std::move(attributes));
}

Status GradSoftmaxCrossEntropyLoss(GradBuilder& g) {
  WSI_RETURN_IF_ERROR(OnlyFirstOutput(g));
  if (!g.OutputGrad(0).valid()) return {};
  const ValueId log_prob = NeedOutput(g, 1);
  return GradOf(g, "SoftmaxCrossEntropyGrad", {g.OutputGrad(0), log_prob, g.Input(1)},
                g.op().attributes());
}

Cost LossCost(const OpView& op) {
  return ElementCost(op, op.HasInput(1) && IsFloat(op.input(1).dtype) ? 1 : 0, 5);
}

constexpr std::pair<int, int> kOverLogProb[] = {{0, 1}};

constexpr OpDef Loss(std::string_view name, std::string_view summary, int max_inputs,
                     InferFunction infer, Gradient gradient) {
  return {.name = name,
          .summary = summary,
          .min_inputs = 2,
          .max_inputs = max_inputs,
          .infer = infer,
          .gradient = gradient,
          .cost = LossCost,
          .half = HalfPolicy::kFloat32,
          .rows = RowKind::kBarrier,
          .layout = LayoutRule::kFixed};
}

}  // namespace

constinit const OpDef kNegativeLogLikelihoodGrad = [] {
  OpDef op =
      Loss("NegativeLogLikelihoodGrad",
           "dloss, target, [weight] -> dlogp {reduction, ignore_index, input_shape: of logp}", 3,
           InferNegativeLogLikelihoodGrad, {.none_because = kNoSecondDerivative});
  op.is_onnx = false;
  return op;
}();
constinit const OpDef kNegativeLogLikelihoodLoss = Loss(
    "NegativeLogLikelihoodLoss",
    "logp[N, C, d...], target i64[N, d...], [weight[C]] -> loss: sum of -weight * logp[target] "
    "over positions whose target is not ignore_index, mean: divided by the sum of their "
    "weights {reduction=\"mean\" or \"sum\", ignore_index: none if absent}",
    3, InferNegativeLogLikelihoodLoss, {.build = GradNegativeLogLikelihoodLoss});
constinit const OpDef kSoftmaxCrossEntropyGrad = [] {
  OpDef op = Loss("SoftmaxCrossEntropyGrad",
                  "dloss, log_prob, target, [weight] -> dlogits = dloss * weight[target] * "
                  "(exp(log_prob) - onehot(target)), mean: divided by the sum of the weights; 0 "
                  "where ignored {reduction, ignore_index}",
                  4, InferSoftmaxCrossEntropyGrad, {.none_because = kNoSecondDerivative});
  op.is_onnx = false;
  op.min_inputs = 3;
  op.in_place = kOverLogProb;
  return op;
}();
constinit const OpDef kSoftmaxCrossEntropyLoss = [] {
  OpDef op = Loss("SoftmaxCrossEntropyLoss",
                  "logits[N, C, d...], target i64[N, d...], [weight[C]] -> loss, [log_prob]: "
                  "NegativeLogLikelihoodLoss of log_prob = LogSoftmax(logits) along axis 1 "
                  "{reduction=\"mean\" or \"sum\", ignore_index: none if absent}",
                  3, InferSoftmaxCrossEntropyLoss, {.build = GradSoftmaxCrossEntropyLoss});
  op.max_outputs = 2;
  return op;
}();

}  // namespace wsi
