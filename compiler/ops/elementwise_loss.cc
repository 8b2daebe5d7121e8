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
  op.in_place = kOverOperands;
  return op;
}

}  // namespace

constinit const OpDef kMeanSquaredError =
    Loss("MeanSquaredError", "x, target -> loss = mean((x - target)^2)",
         {.build = GradMeanSquaredError});
constinit const OpDef kMeanSquaredErrorGrad = LossGradient(
    "MeanSquaredErrorGrad", "dloss, x, target -> dx = dloss * 2 * (x - target) / elements");
constinit const OpDef kSigmoidCrossEntropyGrad =
    LossGradient("SigmoidCrossEntropyGrad",
                 "dloss, logits, target -> dlogits = dloss * (sigmoid(logits) - target) / elements");
constinit const OpDef kSigmoidCrossEntropyLoss =
    Loss("SigmoidCrossEntropyLoss",
         "logits, target of the same float type -> loss = mean(max(z, 0) - z * target + ln(1 + "
         "exp(-abs(z)))), z = logits",
         {.build = GradSigmoidCrossEntropy});

}  // namespace wsi
