constexpr std::pair<int, int> kInPlace[] = {{0, 0}};

constexpr OpDef Unary(std::string_view name, std::string_view summary, Gradient gradient,
                      FoldFunction fold, HalfPolicy half = HalfPolicy::kSafe) {
  return {.name = name,
          .summary = summary,
          .infer = InferFloatUnary,
          .gradient = gradient,
          .cost = PointwiseCost,
          .half = half,
          .fold = fold,
          .in_place = kInPlace};
}

constexpr std::string_view kFlat = "its derivative is zero wherever it exists";
constexpr std::string_view kLogical = "truth values have no derivative";

}  // namespace

constinit const OpDef kAbs = [] {
  OpDef op = Unary("Abs", "x -> |x|; any number type", {.build = GradAbs}, FoldAbs);
  op.infer = InferNumberUnary;
  return op;
}();
constinit const OpDef kCast = {.name = "Cast",
                               .summary = "x -> y of type {to: \"f32\", \"i64\", ...}",
                               .infer = InferCast,
                               .gradient = {.build = GradCast},
                               .cost = MoveCost,
                               .half = HalfPolicy::kNeutral,
                               .fold = FoldCast,
                               .in_place = kInPlace};
constinit const OpDef kCeil = Unary("Ceil", "x -> the least integer >= x",
                                    {.none_because = kFlat}, FoldCeil);
constinit const OpDef kClip = [] {
  OpDef op = Unary("Clip",
                   "x -> min(max(x, min), max) {min=-inf, max=inf, floats}; gradient 1 strictly "
                   "inside (min, max), 0 on and beyond the limits, as PyTorch's hardtanh and relu6",
                   {.build = GradClip}, FoldClip);
  op.infer = InferClip;
  return op;
}();
constinit const OpDef kElu = [] {
  OpDef op = Unary("Elu", "x -> x where x > 0, else alpha * (exp(x) - 1) {alpha=1}",
                   {.build = GradElu}, nullptr, HalfPolicy::kFloat32);
  op.infer = InferElu;
  return op;
}();
constinit const OpDef kErf =
    Unary("Erf", "x -> 2/sqrt(pi) * integral of exp(-t^2) from 0 to x", {.build = GradErf}, nullptr,
          HalfPolicy::kFloat32);
constinit const OpDef kExp =
    Unary("Exp", "x -> e^x", {.build = GradExp}, FoldExp, HalfPolicy::kFloat32);
constinit const OpDef kFloor =
    Unary("Floor", "x -> the greatest integer <= x", {.none_because = kFlat}, FoldFloor);
constinit const OpDef kHardSigmoid = [] {
  OpDef op = Unary("HardSigmoid", "x -> max(0, min(1, alpha * x + beta)) {alpha=0.2, beta=0.5}",
                   {.build = GradHardSigmoid}, nullptr);
  op.infer = InferHardSigmoid;
  return op;
}();
constinit const OpDef kHardSwish = Unary("HardSwish", "x -> x * max(0, min(1, x / 6 + 0.5))",
                                         {.build = GradHardSwish}, nullptr);
constinit const OpDef kIdentity = {.name = "Identity",
                                   .summary = "x -> x, a view",
                                   .infer = SameAsInput,
                                   .gradient = {.build = GradIdentity},
                                   .cost = ViewCost,
                                   .half = HalfPolicy::kNeutral,
                                   .fold = FoldIdentity,
                                   .is_view = true};
constinit const OpDef kLeakyRelu = [] {
  OpDef op = Unary("LeakyRelu", "x -> x where x >= 0, else alpha * x {alpha=0.01}",
                   {.build = GradLeakyRelu}, nullptr);
  op.infer = InferLeakyRelu;
  return op;
}();
constinit const OpDef kLog =
    Unary("Log", "x -> ln x", {.build = GradLog}, FoldLog, HalfPolicy::kFloat32);
constinit const OpDef kNeg = [] {
  OpDef op = Unary("Neg", "x -> -x; any number type", {.build = GradNeg}, FoldNeg);
  op.infer = InferNumberUnary;
  return op;
}();
constinit const OpDef kNot = {.name = "Not",
                              .summary = "x bool -> y bool",
                              .infer = InferNot,
                              .gradient = {.none_because = kLogical},
                              .cost = PointwiseCost,
                              .half = HalfPolicy::kNeutral,
                              .fold = FoldNot,
                              .in_place = kInPlace};
constinit const OpDef kReciprocal = Unary("Reciprocal", "x -> 1 / x", {.build = GradReciprocal},
                                          FoldReciprocal, HalfPolicy::kFloat32);
constinit const OpDef kRelu = Unary("Relu", "x -> max(x, 0)", {.build = GradRelu}, FoldRelu);
constinit const OpDef kSigmoid =
    Unary("Sigmoid", "x -> 1 / (1 + exp(-x))", {.build = GradSigmoid}, nullptr);
constinit const OpDef kSign = [] {
  OpDef op = Unary("Sign", "x -> -1, 0 or 1; any number type", {.none_because = kFlat}, FoldSign);
  op.infer = InferNumberUnary;
  return op;
}();
constinit const OpDef kSoftplus = Unary("Softplus", "x -> ln(1 + exp(x))", {.build = GradSoftplus},
                                        nullptr, HalfPolicy::kFloat32);
constinit const OpDef kSqrt = Unary("Sqrt", "x -> sqrt(x)", {.build = GradSqrt}, FoldSqrt);
constinit const OpDef kTanh = Unary("Tanh", "x -> tanh(x)", {.build = GradTanh}, nullptr);

}  // namespace wsi
