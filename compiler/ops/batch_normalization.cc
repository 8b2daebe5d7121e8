constexpr std::pair<int, int> kApplyInPlace[] = {{0, 0}, {0, 5}};
constexpr std::pair<int, int> kGradStatsInPlace[] = {{2, 0}};
constexpr std::pair<int, int> kGradApplyInPlace[] = {{0, 0}, {0, 1}, {0, 7}};
constexpr std::pair<int, int> kGradFrozenInPlace[] = {{0, 0}, {0, 3}};
constexpr std::pair<int, int> kOverOld[] = {{0, 0}};

}  // namespace

constinit const OpDef kBatchNormApply = {
    .name = "BatchNormApply",
    .is_onnx = false,
    .summary = "x, scale, bias, mean, var, [residual] -> (x - mean) * scale / sqrt(var + epsilon) + "
               "bias + residual, then max(., 0) where relu {epsilon, relu=0, channels_last=0}",
    .min_inputs = 5,
    .max_inputs = 6,
    .infer = InferBatchNormApply,
    .gradient = {.build = GradBatchNormApply},
    .cost = BatchNormCost,
    .half = HalfPolicy::kMatrix,
    .layout = LayoutRule::kChannelsLast,
    .in_place = kApplyInPlace};
constinit const OpDef kBatchNormGradApply = {
    .name = "BatchNormGradApply",
    .is_onnx = false,
    .summary = "dy, x, scale, mean, var, dscale, dbias, [y] -> dx = scale / sqrt(var + epsilon) * "
               "(dz - dbias / m - xhat * dscale / m); dz = dy * (y > 0) where relu, else dy "
               "{epsilon, relu=0, channels_last=0}",
    .min_inputs = 7,
    .max_inputs = 8,
    .infer = InferBatchNormGradApply,
    .gradient = {.none_because = kNoSecondDerivative},
    .cost = BatchNormCost,
    .half = HalfPolicy::kMatrix,
    .layout = LayoutRule::kChannelsLast,
    .in_place = kGradApplyInPlace};
constinit const OpDef kBatchNormGradFrozen = {
    .name = "BatchNormGradFrozen",
    .is_onnx = false,
    .summary = "dy, scale, var, [y] -> dx = dz * scale / sqrt(var + epsilon); dz = dy * (y > 0) "
               "where relu, else dy {epsilon, relu=0, channels_last=0}",
    .min_inputs = 3,
    .max_inputs = 4,
    .infer = InferBatchNormGradFrozen,
    .gradient = {.none_because = kNoSecondDerivative},
    .cost = BatchNormCost,
    .half = HalfPolicy::kMatrix,
    .layout = LayoutRule::kChannelsLast,
    .in_place = kGradFrozenInPlace};
constinit const OpDef kBatchNormGradStats = {
    .name = "BatchNormGradStats",
    .is_onnx = false,
    .summary = "dy, x, mean, var, [y] -> dscale = sum dz * xhat, dbias = sum dz, [dz]; dz = dy * (y "
               "> 0) where relu, else dy {epsilon, relu=0, channels_last=0}",
    .min_inputs = 4,
    .max_inputs = 5,
    .min_outputs = 2,
    .max_outputs = 3,
    .infer = InferBatchNormGradStats,
    .gradient = {.none_because = kNoSecondDerivative},
    .cost = BatchNormCost,
    .half = HalfPolicy::kMatrix,
    .rows = RowKind::kBarrier,
    .layout = LayoutRule::kChannelsLast,
    .in_place = kGradStatsInPlace};
constinit const OpDef kBatchNormStats = {
    .name = "BatchNormStats",
    .is_onnx = false,
    .summary = "x -> mean, var of each channel; var is the population variance {channels_last=0}",
    .min_outputs = 2,
    .max_outputs = 2,
    .infer = InferBatchNormStats,
    .gradient = {.none_because = "it is made behind autodiff, from BatchNormTrain"},
    .cost = BatchNormCost,
    .half = HalfPolicy::kMatrix,
    .rows = RowKind::kBarrier,
    .layout = LayoutRule::kChannelsLast};
constinit const OpDef kBatchNormTrain = {
    .name = "BatchNormTrain",
    .is_onnx = false,
    .summary = "x, scale, bias -> y = xhat * scale + bias, mean, var of the batch {epsilon, "
               "channels_last=0}; BatchNormStats and BatchNormApply in one",
    .min_inputs = 3,
    .max_inputs = 3,
    .min_outputs = 3,
    .max_outputs = 3,
    .infer = InferBatchNormTrain,
    .gradient = {.build = GradBatchNormTrain},
    .cost = BatchNormTrainCost,
    .half = HalfPolicy::kMatrix,
    .rows = RowKind::kBarrier,
    .layout = LayoutRule::kChannelsLast};
constinit const OpDef kBatchNormalization = {
    .name = "BatchNormalization",
    .summary = "x, scale, bias, mean, var -> y, [new mean, new var] {epsilon=1e-5, momentum=0.9, "
               "training_mode=0}; as imported, the norm pass rewrites it",
    .min_inputs = 5,
    .max_inputs = 5,
    .max_outputs = 3,
    .infer = InferBatchNormalization,
    .gradient = {.none_because = "the norm pass rewrites it before autodiff"},
    .cost = BatchNormCost,
    .half = HalfPolicy::kMatrix,
    .rows = RowKind::kBarrier,
    .layout = LayoutRule::kFixed};
constinit const OpDef kMovingAverage = {
    .name = "MovingAverage",
    .is_onnx = false,
    .summary = "old, current -> old * momentum + current * (1 - momentum) {momentum}",
    .min_inputs = 2,
    .max_inputs = 2,
    .infer = InferMovingAverage,
    .gradient = {.none_because = "statistics of inference are not trained"},
    .cost = PointwiseCost,
    .half = HalfPolicy::kFloat32,
    .rows = RowKind::kNone,
    .in_place = kOverOld};

}  // namespace wsi
