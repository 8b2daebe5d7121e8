#include "compiler/ops/pointwise_binary.h"

#include "compiler/ops/attribute_check.h"
#include "compiler/ops/cost.h"
#include "compiler/ops/gradient_rules.h"
#include "compiler/ops/operand_check.h"
#include "compiler/ops/pointwise_folding.h"

namespace wsi {
namespace {

InferredTypes InferBroadcast(const OpView& op, DType result) {
  WSI_RETURN_IF_ERROR(WantSameType(op, 1, 0));
  WSI_ASSIGN_OR_RETURN(Shape shape, BroadcastShapes(op.input_shape(0), op.input_shape(1)));
  return std::vector<TensorType>{{result, std::move(shape)}};
}

InferredTypes InferArithmetic(const OpView& op) {
  WSI_RETURN_IF_ERROR(WantNumber(op, 0));
  return InferBroadcast(op, op.input(0).dtype);
}

InferredTypes InferMod(const OpView& op) {
  WSI_RETURN_IF_ERROR(CheckedFlag(op.attributes(), "fmod", false).status());
  return InferArithmetic(op);
}

InferredTypes InferEqual(const OpView& op) { return InferBroadcast(op, DType::kBool); }

InferredTypes InferOrder(const OpView& op) {
  WSI_RETURN_IF_ERROR(WantNumber(op, 0));
  return InferBroadcast(op, DType::kBool);
}

InferredTypes InferLogical(const OpView& op) {
  WSI_RETURN_IF_ERROR(WantType(op, 0, DType::kBool));
  return InferBroadcast(op, DType::kBool);
}

InferredTypes InferWhere(const OpView& op) {
  WSI_RETURN_IF_ERROR(WantType(op, 0, DType::kBool));
  WSI_RETURN_IF_ERROR(WantSameType(op, 2, 1));
  WSI_ASSIGN_OR_RETURN(Shape shape, BroadcastShapes(op.input_shape(1), op.input_shape(2)));
  WSI_ASSIGN_OR_RETURN(shape, BroadcastShapes(op.input_shape(0), shape));
  return std::vector<TensorType>{{op.input(1).dtype, std::move(shape)}};
}

Status GradAdd(GradBuilder& g) {
  for (int i = 0; i < 2; ++i) {
    if (!g.WantsInputGrad(i)) continue;
    WSI_RETURN_IF_ERROR(SetBroadcastGrad(g, i, g.OutputGrad(0)));
  }
  return {};
}

Status GradSub(GradBuilder& g) {
  if (g.WantsInputGrad(0)) WSI_RETURN_IF_ERROR(SetBroadcastGrad(g, 0, g.OutputGrad(0)));
  if (!g.WantsInputGrad(1)) return {};
  // Summed first: the negation is then of the smaller tensor.
  WSI_ASSIGN_OR_RETURN(const ValueId sum, SumToShape(g, g.OutputGrad(0), g.op().output_shape(0),
                                                     g.op().input_shape(1)));
  return SetGrad(g, 1, g.Emit("Neg", {sum}));
}

Status GradMul(GradBuilder& g) {
  for (int i = 0; i < 2; ++i) {
    if (!g.WantsInputGrad(i)) continue;
    WSI_RETURN_IF_ERROR(SetBroadcastGrad(g, i, g.Emit("Mul", {g.OutputGrad(0), g.Input(1 - i)})));
  }
  return {};
}

// y = a / b: da = dy / b, db = -dy * y / b.
Status GradDiv(GradBuilder& g) {
  WSI_ASSIGN_OR_RETURN(const ValueId quotient, g.Emit("Div", {g.OutputGrad(0), g.Input(1)}));
  if (g.WantsInputGrad(0)) WSI_RETURN_IF_ERROR(SetBroadcastGrad(g, 0, quotient));
  if (!g.WantsInputGrad(1)) return {};
  WSI_ASSIGN_OR_RETURN(const ValueId product, g.Emit("Mul", {quotient, g.Output(0)}));
  WSI_ASSIGN_OR_RETURN(const ValueId sum,
                       SumToShape(g, product, g.op().output_shape(0), g.op().input_shape(1)));
  return SetGrad(g, 1, g.Emit("Neg", {sum}));
}

// y = a - q b with a whole q: da = dy, db = -dy q.
Status GradMod(GradBuilder& g) {
  if (g.WantsInputGrad(0)) WSI_RETURN_IF_ERROR(SetBroadcastGrad(g, 0, g.OutputGrad(0)));
  if (!g.WantsInputGrad(1)) return {};
  WSI_ASSIGN_OR_RETURN(const ValueId multiple, g.Emit("Sub", {g.Output(0), g.Input(0)}));
  WSI_ASSIGN_OR_RETURN(const ValueId quotient, g.Emit("Div", {multiple, g.Input(1)}));
  return SetBroadcastGrad(g, 1, g.Emit("Mul", {g.OutputGrad(0), quotient}));
}

// da = dy * b * a^(b-1), 0 where b = 0 (a^-1 may be infinite there).
Status GradPowBase(GradBuilder& g, ValueId zero) {
  WSI_ASSIGN_OR_RETURN(const ValueId one, EmitScalar(g, 1));
  WSI_ASSIGN_OR_RETURN(const ValueId exponent, g.Emit("Sub", {g.Input(1), one}));
  WSI_ASSIGN_OR_RETURN(const ValueId power, g.Emit("Pow", {g.Input(0), exponent}));
  WSI_ASSIGN_OR_RETURN(const ValueId slope, g.Emit("Mul", {power, g.Input(1)}));
  WSI_ASSIGN_OR_RETURN(const ValueId product, g.Emit("Mul", {g.OutputGrad(0), slope}));
  WSI_ASSIGN_OR_RETURN(const ValueId flat, g.Emit("Equal", {g.Input(1), zero}));
  return SetBroadcastGrad(g, 0, g.Emit("Where", {flat, zero, product}));
}

// db = dy * y * ln a, 0 where a = 0 (there y * ln a would be 0 * -inf).
Status GradPowExponent(GradBuilder& g, ValueId zero) {
  WSI_ASSIGN_OR_RETURN(const ValueId log, g.Emit("Log", {g.Input(0)}));
  WSI_ASSIGN_OR_RETURN(const ValueId slope, g.Emit("Mul", {g.Output(0), log}));
  WSI_ASSIGN_OR_RETURN(const ValueId product, g.Emit("Mul", {g.OutputGrad(0), slope}));
  WSI_ASSIGN_OR_RETURN(const ValueId flat, g.Emit("Equal", {g.Input(0), zero}));
  return SetBroadcastGrad(g, 1, g.Emit("Where", {flat, zero, product}));
}

Status GradPow(GradBuilder& g) {
  WSI_ASSIGN_OR_RETURN(const ValueId zero, EmitScalar(g, 0));
  if (g.WantsInputGrad(0)) WSI_RETURN_IF_ERROR(GradPowBase(g, zero));
  if (g.WantsInputGrad(1)) WSI_RETURN_IF_ERROR(GradPowExponent(g, zero));
  return {};
}

// The operand that wins, by `wins` (Greater or Less), gets dy; each of two equal ones
// dy / 2.
Status GradExtreme(GradBuilder& g, std::string_view wins) {
  WSI_ASSIGN_OR_RETURN(const ValueId zero, EmitScalar(g, 0));
  WSI_ASSIGN_OR_RETURN(const ValueId half, EmitScaled(g, g.OutputGrad(0), 0.5));
  WSI_ASSIGN_OR_RETURN(const ValueId tie, g.Emit("Equal", {g.Input(0), g.Input(1)}));
  for (int i = 0; i < 2; ++i) {
    if (!g.WantsInputGrad(i)) continue;
    WSI_ASSIGN_OR_RETURN(const ValueId mine, g.Emit(wins, {g.Input(i), g.Input(1 - i)}));
    WSI_ASSIGN_OR_RETURN(const ValueId whole, g.Emit("Where", {mine, g.OutputGrad(0), zero}));
    WSI_RETURN_IF_ERROR(SetBroadcastGrad(g, i, g.Emit("Where", {tie, half, whole})));
  }
  return {};
}

Status GradMax(GradBuilder& g) { return GradExtreme(g, "Greater"); }
Status GradMin(GradBuilder& g) { return GradExtreme(g, "Less"); }

Status GradWhere(GradBuilder& g) {
  if (!g.WantsInputGrad(1) && !g.WantsInputGrad(2)) return {};
  WSI_ASSIGN_OR_RETURN(const ValueId zero, EmitScalar(g, 0));
  if (g.WantsInputGrad(1)) {
    WSI_RETURN_IF_ERROR(
        SetBroadcastGrad(g, 1, g.Emit("Where", {g.Input(0), g.OutputGrad(0), zero})));
  }
  if (!g.WantsInputGrad(2)) return {};
  return SetBroadcastGrad(g, 2, g.Emit("Where", {g.Input(0), zero, g.OutputGrad(0)}));
}

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

constexpr OpDef Comparison(std::string_view name, std::string_view summary, FoldFunction fold,
                           InferFunction infer = InferOrder) {
  OpDef op = Arithmetic(name, summary, {.none_because = kTruth}, fold);
  op.infer = infer;
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
constinit const OpDef kEqual =
    Comparison("Equal", "a, b -> a = b, bool; any type", FoldEqual, InferEqual);
constinit const OpDef kGreater = Comparison("Greater", "a, b -> a > b, bool", FoldGreater);
constinit const OpDef kLess = Comparison("Less", "a, b -> a < b, bool", FoldLess);
constinit const OpDef kMax = Arithmetic(
    "Max", "a, b -> the larger; NaN wins; equal operands share the gradient, as PyTorch's maximum",
    {.build = GradMax}, FoldMax);
constinit const OpDef kMin = Arithmetic(
    "Min", "a, b -> the smaller; NaN wins; equal operands share the gradient, as PyTorch's minimum",
    {.build = GradMin}, FoldMin);
constinit const OpDef kMod = [] {
  OpDef op = Arithmetic("Mod", "a, b -> a mod b {fmod=0: the divisor's sign; 1: the dividend's}",
                        {.build = GradMod}, FoldMod);
  op.infer = InferMod;
  return op;
}();
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
