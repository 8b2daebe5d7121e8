}  // namespace

constinit const OpDef kGroupNormGrad = {
    .name = "GroupNormGrad",
    .is_onnx = false,
    .summary = "dy, x, scale, mean, inv_std -> dx, dscale, dbias {num_groups, channels_last=0}",
    .min_inputs = 5,
    .max_inputs = 5,
    .min_outputs = 3,
    .max_outputs = 3,
    .infer = InferGroupNormGrad,
    .gradient = {.none_because = kNoSecondDerivative},
    .cost = GroupNormCost,
    .half = HalfPolicy::kMatrix,
    .rows = RowKind::kBarrier,
    .layout = LayoutRule::kChannelsLast};
constinit const OpDef kGroupNormalization = {
    .name = "GroupNormalization",
    .summary = "x, scale[C], bias[C] -> (x - mean) * inv_std * scale + bias, [mean[N, groups], "
               "inv_std[N, groups] = 1 / sqrt(var + epsilon)] {num_groups, epsilon=1e-5, "
               "channels_last=0}",
    .min_inputs = 3,
    .max_inputs = 3,
    .max_outputs = 3,
    .infer = InferGroupNormalization,
    .gradient = {.build = GradGroupNormalization},
    .cost = GroupNormCost,
    .half = HalfPolicy::kMatrix,
    .rows = RowKind::kBarrier,
    .layout = LayoutRule::kChannelsLast};

}  // namespace wsi
