constexpr std::pair<int, int> kInPlace[] = {{0, 0}};

}  // namespace

constinit const OpDef kDropout = {
    .name = "Dropout",
    .summary = "x, [seed i64, step i64: scalars, both or neither] -> y = x / (1 - ratio) where mask, "
               "else 0, [mask bool: kept] {ratio=0.5, seed_id: number of the node, wherever seed is "
               "given}; the Philox4x32-10 word of key seed at counter (step, seed_id, element) "
               "decides",
    .max_inputs = 3,
    .max_outputs = 2,
    .infer = InferDropout,
    .gradient = {.build = GradDropout},
    .cost = PointwiseCost,
    .in_place = kInPlace};
constinit const OpDef kDropoutGrad = {
    .name = "DropoutGrad",
    .is_onnx = false,
    .summary = "dy, mask bool -> dy / (1 - ratio) where mask, else 0 {ratio=0.5}",
    .min_inputs = 2,
    .max_inputs = 2,
    .infer = InferDropoutGrad,
    .gradient = {.none_because = kNoSecondDerivative},
    .cost = PointwiseCost,
    .in_place = kInPlace};

}  // namespace wsi
