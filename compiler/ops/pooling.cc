constexpr OpDef Pool(std::string_view name, std::string_view summary, InferFunction infer,
                     Gradient gradient, CostFunction cost, RowKind rows) {
  return {.name = name,
          .summary = summary,
          .infer = infer,
          .gradient = gradient,
          .cost = cost,
          .half = HalfPolicy::kSafe,
          .rows = rows,
          .layout = LayoutRule::kChannelsLast};
}

constexpr OpDef PoolGradient(std::string_view name, std::string_view summary, int inputs,
                             InferFunction infer, CostFunction cost, RowKind rows) {
  OpDef op = Pool(name, summary, infer, {.none_because = kNoSecondDerivative}, cost, rows);
  op.is_onnx = false;
  op.min_inputs = inputs;
  op.max_inputs = inputs;
  return op;
}

constexpr OpDef WithIndex(OpDef op) {
  op.max_outputs = 2;
  return op;
}

}  // namespace

constinit const OpDef kAveragePool =
    Pool("AveragePool",
         "x -> y {kernel_shape, strides, dilations, pads, ceil_mode=0, count_include_pad=0, "
         "channels_last=0}",
         InferAveragePool, {.build = GradAveragePool}, WindowCost, RowKind::kWindow);
constinit const OpDef kAveragePoolGrad =
    PoolGradient("AveragePoolGrad", "dy -> dx {AveragePool's attributes, input_shape: of x}", 1,
                 InferAveragePoolGrad, WindowGradCost, RowKind::kWindow);
constinit const OpDef kGlobalAveragePool = [] {
  OpDef op = Pool("GlobalAveragePool", "x -> mean over the spatial axes, kept as 1 {channels_last=0}",
                  InferGlobalPool, {.build = GradGlobalAveragePool}, ReadCost, RowKind::kBarrier);
  op.half = HalfPolicy::kMatrix;
  return op;
}();
constinit const OpDef kGlobalAveragePoolGrad =
    PoolGradient("GlobalAveragePoolGrad",
                 "dy -> dy / positions, spread over {input_shape: of x, channels_last=0}", 1,
                 InferGlobalPoolGrad, PointwiseCost, RowKind::kPointwise);
constinit const OpDef kGlobalMaxPool =
    WithIndex(Pool("GlobalMaxPool",
                   "x -> maximum over the spatial axes, kept as 1, [index i64: row-major spatial "
                   "position, the lowest on ties] {channels_last=0}",
                   InferGlobalMaxPool, {.build = GradGlobalMaxPool}, ReadCost, RowKind::kBarrier));
constinit const OpDef kGlobalMaxPoolGrad = PoolGradient(
    "GlobalMaxPoolGrad",
    "dy, index -> dx: dy at index, else 0 {input_shape: of x, channels_last=0}", 2,
    InferGlobalMaxPoolGrad, MoveCost, RowKind::kPointwise);
constinit const OpDef kMaxPool = WithIndex(
    Pool("MaxPool",
         "x -> y, [index: row-major position in the window, the lowest on ties; u8, or i32 where "
         "windows exceed 256 positions] {kernel_shape, strides, dilations, pads (of -inf), "
         "ceil_mode=0, channels_last=0}; NaN wins",
         InferMaxPool, {.build = GradMaxPool}, WindowCost, RowKind::kWindow));
constinit const OpDef kMaxPoolGrad = PoolGradient(
    "MaxPoolGrad", "dy, index -> dx {MaxPool's attributes, input_shape: of x}", 2, InferMaxPoolGrad,
    WindowGradCost, RowKind::kWindow);

}  // namespace wsi
