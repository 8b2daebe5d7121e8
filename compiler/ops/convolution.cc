}  // namespace

constinit const OpDef kConv = {
    .name = "Conv",
    .summary = "x, w, [b] -> y {kernel_shape, strides, dilations, pads (begins, then ends), group, "
               "channels_last=0}; 1 to 3 spatial axes; w is [O, I/group, k...], channels last "
               "[O, k..., I/group]",
    .min_inputs = 2,
    .max_inputs = 3,
    .infer = InferConv,
    .gradient = {.build = GradConv},
    .cost = ConvCost,
    .half = HalfPolicy::kMatrix,
    .rows = RowKind::kWindow,
    .layout = LayoutRule::kChannelsLast,
    .layout_weight = 1};
constinit const OpDef kConvInputGrad = {
    .name = "ConvInputGrad",
    .is_onnx = false,
    .summary = "dy, w -> dx {Conv's attributes, input_shape: of x}",
    .min_inputs = 2,
    .max_inputs = 2,
    .infer = InferConvInputGrad,
    .gradient = {.none_because = kNoSecondDerivative},
    .cost = ConvInputGradCost,
    .half = HalfPolicy::kMatrix,
    .rows = RowKind::kWindow,
    .layout = LayoutRule::kChannelsLast,
    .layout_weight = 1};
constinit const OpDef kConvWeightGrad = {
    .name = "ConvWeightGrad",
    .is_onnx = false,
    .summary = "x, dy -> dw {Conv's attributes, weight_shape: of w}",
    .min_inputs = 2,
    .max_inputs = 2,
    .infer = InferConvWeightGrad,
    .gradient = {.none_because = kNoSecondDerivative},
    .cost = ConvWeightGradCost,
    .half = HalfPolicy::kMatrix,
    .rows = RowKind::kBarrier,
    .layout = LayoutRule::kChannelsLast};

}  // namespace wsi
