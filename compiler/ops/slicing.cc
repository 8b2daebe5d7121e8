}  // namespace

constinit const OpDef kSlice = {
    .name = "Slice",
    .summary = "x -> x[start, start + step, ... before end] along each axis of {starts, ends, axes, "
               "steps}: all explicit, axes >= 0; step > 0: 0 <= start <= end <= size; step < 0: -1 "
               "<= end <= start < size, -1 being before the first. Split becomes this",
    .infer = InferSlice,
    .gradient = {.build = GradSlice},
    .cost = MoveCost,
    .half = HalfPolicy::kNeutral,
    .rows = RowKind::kBarrier,
    .layout = LayoutRule::kAxes,
    .fold = FoldSlice};
constinit const OpDef kSliceGrad = {
    .name = "SliceGrad",
    .is_onnx = false,
    .summary = "dy -> zeros of {input_shape} with dy at {starts, ends, axes, steps} as in Slice",
    .infer = InferSliceGrad,
    .gradient = {.none_because = kNoSecondDerivative},
    .cost = MoveCost,
    .half = HalfPolicy::kNeutral,
    .rows = RowKind::kBarrier,
    .layout = LayoutRule::kAxes};

}  // namespace wsi
