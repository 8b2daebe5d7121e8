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
  OpDef op = Loss("NegativeLogLikelihoodGrad",
                  "dloss, target, [weight] -> dlogp {reduction, ignore_index, input_shape: of logp}",
                  3, InferNegativeLogLikelihoodGrad, {.none_because = kNoSecondDerivative});
  op.is_onnx = false;
  return op;
}();
constinit const OpDef kNegativeLogLikelihoodLoss =
    Loss("NegativeLogLikelihoodLoss",
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
