constexpr std::pair<int, int> kOverFirst[] = {{0, 0}};
constexpr std::pair<int, int> kMomentumInPlace[] = {{0, 0}, {1, 2}};
constexpr std::pair<int, int> kAdamInPlace[] = {{0, 0}, {1, 2}, {2, 3}};

constexpr OpDef Update(std::string_view name, std::string_view summary, int min_inputs,
                       int max_inputs, int outputs, InferFunction infer, CostFunction cost) {
  return {.name = name,
          .is_onnx = false,
          .summary = summary,
          .min_inputs = min_inputs,
          .max_inputs = max_inputs,
          .min_outputs = outputs,
          .max_outputs = outputs,
          .infer = infer,
          .gradient = {.none_because = "updates are not differentiated"},
          .cost = cost,
          .half = HalfPolicy::kFloat32,
          .rows = RowKind::kNone};
}

constexpr OpDef InPlace(OpDef op, std::span<const std::pair<int, int>> pairs) {
  op.in_place = pairs;
  return op;
}

}  // namespace

constinit const OpDef kAccumulateGrad = InPlace(
    Update("AccumulateGrad", "accumulator, grad -> accumulator + grad", 2, 2, 1,
           InferAccumulateGrad, PointwiseCost),
    kOverFirst);
constinit const OpDef kAdamUpdate = InPlace(
    Update("AdamUpdate",
           "param, grad, m, v, lr, step i64 (from 1), [scale] -> param', m', v' {beta1, beta2, "
           "epsilon, weight_decay=0, decoupled=0}: g = grad * scale, decoupled: param is first "
           "scaled by 1 - lr * weight_decay, else g += weight_decay * param; m' = beta1 * m + (1 - "
           "beta1) * g; v' = beta2 * v + (1 - beta2) * g^2; param' = param - lr * (m' / (1 - "
           "beta1^step)) / (sqrt(v' / (1 - beta2^step)) + epsilon)",
           6, 7, 3, InferAdamUpdate, AdamCost),
    kAdamInPlace);
constinit const OpDef kClipScale =
    Update("ClipScale",
           "sumsq -> scale0 * min(1, max_norm / (scale0 * sqrt(sumsq) + 1e-6)) {max_norm, scale0=1}",
           1, 1, 1, InferClipScale, PointwiseCost);
constinit const OpDef kMomentumUpdate = InPlace(
    Update("MomentumUpdate",
           "param, grad, velocity, lr, [scale] -> param', velocity' {momentum, nesterov=0, "
           "weight_decay=0}: g = grad * scale + weight_decay * param; velocity' = momentum * "
           "velocity + g; param' = param - lr * (nesterov: g + momentum * velocity', else velocity')",
           4, 5, 2, InferMomentumUpdate, UpdateCost),
    kMomentumInPlace);
constinit const OpDef kSgdUpdate = InPlace(
    Update("SgdUpdate",
           "param, grad, lr, [scale] -> param' = param - lr * (grad * scale + weight_decay * param) "
           "{weight_decay=0}",
           3, 4, 1, InferSgdUpdate, UpdateCost),
    kOverFirst);
constinit const OpDef kSquaredNorm =
    Update("SquaredNorm", "x -> the sum of x^2, a scalar of at least single precision", 1, 1, 1,
           InferSquaredNorm, SquaredNormCost);

}  // namespace wsi
