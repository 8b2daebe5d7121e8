constexpr std::pair<int, int> kOverEither[] = {{0, 0}, {0, 1}};
constexpr std::pair<int, int> kOverBranches[] = {{0, 1}, {0, 2}};
constexpr std::string_view kTruth = "the result is a truth value, which has no derivative";

constexpr OpDef Arithmetic(std::string_view name, std::string_view summary, Gradient gradient,
                           FoldFunction fold, HalfPolicy half = HalfPolicy::kSafe) {
  return {.name = name,
          .summary = summary,
          .min_inputs = 2,
          .max_inputs = 2,
          .infer = InferArithmetic,
          .gradient = gradient,
          .cost = PointwiseCost,
          .half = half,
          .fold = fold,
          .in_place = kOverEither};
}

constexpr OpDef Comparison(std::string_view name, std::string_view summary, FoldFunction fold) {
  OpDef op = Arithmetic(name, summary, {.none_because = kTruth}, fold);
  op.infer = InferComparison;
  op.in_place = {};
  return op;
}

constexpr OpDef Logical(std::string_view name, std::string_view summary, FoldFunction fold) {
  OpDef op = Arithmetic(name, summary, {.none_because = kTruth}, fold, HalfPolicy::kNeutral);
  op.infer = InferLogical;
  return op;
}

}  // namespace

constinit const OpDef kAdd = Arithmetic("Add", "a, b -> a + b", {.build = GradAdd}, FoldAdd);
constinit const OpDef kAnd = Logical("And", "a, b bool -> a and b", FoldAnd);
constinit const OpDef kDiv =
    Arithmetic("Div", "a, b -> a / b; integers truncate toward zero", {.build = GradDiv}, FoldDiv);
constinit const OpDef kEqual = Comparison("Equal", "a, b -> a = b, bool; any type", FoldEqual);
constinit const OpDef kGreater = Comparison("Greater", "a, b -> a > b, bool", FoldGreater);
constinit const OpDef kLess = Comparison("Less", "a, b -> a < b, bool", FoldLess);
constinit const OpDef kMax = Arithmetic(
    "Max", "a, b -> the larger; NaN wins; equal operands share the gradient, as PyTorch's maximum",
    {.build = GradMax}, FoldMax);
constinit const OpDef kMin = Arithmetic(
    "Min", "a, b -> the smaller; NaN wins; equal operands share the gradient, as PyTorch's minimum",
    {.build = GradMin}, FoldMin);
constinit const OpDef kMod =
    Arithmetic("Mod", "a, b -> a mod b {fmod=0: the divisor's sign; 1: the dividend's}; folded only",
               {.none_because = "it is folded away"}, FoldMod);
constinit const OpDef kMul = Arithmetic("Mul", "a, b -> a * b", {.build = GradMul}, FoldMul);
constinit const OpDef kOr = Logical("Or", "a, b bool -> a or b", FoldOr);
constinit const OpDef kPow =
    Arithmetic("Pow", "a, b of one type -> a^b", {.build = GradPow}, FoldPow, HalfPolicy::kFloat32);
constinit const OpDef kSub = Arithmetic("Sub", "a, b -> a - b", {.build = GradSub}, FoldSub);
constinit const OpDef kWhere = {.name = "Where",
                                .summary = "condition bool, a, b -> a where condition, else b",
                                .min_inputs = 3,
                                .max_inputs = 3,
                                .infer = InferWhere,
                                .gradient = {.build = GradWhere},
                                .cost = PointwiseCost,
                                .half = HalfPolicy::kNeutral,
                                .fold = FoldWhere,
                                .in_place = kOverBranches};

}  // namespace wsi
