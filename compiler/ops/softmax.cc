constexpr OpDef AlongAxis(std::string_view name, std::string_view summary, Gradient gradient) {
  return {.name = name,
          .summary = summary,
          .infer = InferSoftmax,
          .gradient = gradient,
          .cost = SoftmaxCost,
          .half = HalfPolicy::kFloat32,
          .rows = RowKind::kBarrier,
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

constinit const OpDef kLogSoftmax =
    AlongAxis("LogSoftmax", "x -> x - ln(sum(exp(x))), sums along {axis >= 0}",
              {.build = GradLogSoftmax});
constinit const OpDef kLogSoftmaxGrad = AlongAxisGradient(
    "LogSoftmaxGrad", "dy, y -> dy - exp(y) * sum(dy), sums along {axis >= 0}");
constinit const OpDef kSoftmax = AlongAxis(
    "Softmax", "x -> exp(x) / sum(exp(x)), sums along {axis >= 0}", {.build = GradSoftmax});
constinit const OpDef kSoftmaxGrad = AlongAxisGradient(
    "SoftmaxGrad", "dy, y -> y * (dy - sum(dy * y)), sums along {axis >= 0}");

}  // namespace wsi
