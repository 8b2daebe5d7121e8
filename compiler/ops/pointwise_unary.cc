#include "compiler/ops/pointwise_unary.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "compiler/ops/attribute_check.h"
#include "compiler/ops/cost.h"
#include "compiler/ops/evaluate.h"
#include "compiler/ops/gradient_rules.h"
#include "compiler/ops/operand_check.h"

namespace wsi {
namespace {

InferredTypes InferFloatUnary(const OpView& op) {
  WSI_RETURN_IF_ERROR(WantFloat(op, 0));
  return SameAsInput(op);
}

InferredTypes InferNumberUnary(const OpView& op) {
  WSI_RETURN_IF_ERROR(WantNumber(op, 0));
  return SameAsInput(op);
}

InferredTypes InferCast(const OpView& op) {
  WSI_ASSIGN_OR_RETURN(const DType to, CheckedDType(op.attributes(), "to"));
  return std::vector<TensorType>{{to, op.input_shape(0)}};
}

InferredTypes InferClip(const OpView& op) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  WSI_RETURN_IF_ERROR(CheckedFloat(op.attributes(), "min", -kInfinity).status());
  WSI_RETURN_IF_ERROR(CheckedFloat(op.attributes(), "max", kInfinity).status());
  return InferNumberUnary(op);
}

InferredTypes InferElu(const OpView& op) {
  WSI_RETURN_IF_ERROR(CheckedFloat(op.attributes(), "alpha", 1.0, 0.0).status());
  return InferFloatUnary(op);
}

InferredTypes InferLeakyRelu(const OpView& op) {
  WSI_RETURN_IF_ERROR(CheckedFloat(op.attributes(), "alpha", 0.01).status());
  return InferFloatUnary(op);
}

InferredTypes InferHardSigmoid(const OpView& op) {
  WSI_RETURN_IF_ERROR(CheckedFloat(op.attributes(), "alpha", 0.2).status());
  WSI_RETURN_IF_ERROR(CheckedFloat(op.attributes(), "beta", 0.5).status());
  return InferFloatUnary(op);
}

InferredTypes InferNot(const OpView& op) {
  WSI_RETURN_IF_ERROR(WantType(op, 0, DType::kBool));
  return SameAsInput(op);
}

Status GradAbs(GradBuilder& g) {
  WSI_ASSIGN_OR_RETURN(const ValueId sign, g.Emit("Sign", {g.Input(0)}));
  return SetGrad(g, 0, g.Emit("Mul", {g.OutputGrad(0), sign}));
}

// Nothing flows through integers and truth values.
Status GradCast(GradBuilder& g) {
  const DType from = g.op().input(0).dtype;
  if (!IsFloat(from) || !IsFloat(g.op().output(0).dtype)) return {};
  return SetGrad(g, 0, g.Emit("Cast", {g.OutputGrad(0)}, {{"to", std::string(DTypeName(from))}}));
}

Status GradClip(GradBuilder& g) {
  return SetGrad(g, 0, g.Emit("ClipGrad", {g.OutputGrad(0), g.Input(0)}, g.op().attributes()));
}

Status GradCos(GradBuilder& g) {
  WSI_ASSIGN_OR_RETURN(const ValueId sine, g.Emit("Sin", {g.Input(0)}));
  WSI_ASSIGN_OR_RETURN(const ValueId product, g.Emit("Mul", {g.OutputGrad(0), sine}));
  return SetGrad(g, 0, g.Emit("Neg", {product}));
}

// dx = dy * slope(x)
Status GradThrough(GradBuilder& g, std::string_view slope_op) {
  WSI_ASSIGN_OR_RETURN(const ValueId slope, g.Emit(slope_op, {g.Input(0)}));
  return SetGrad(g, 0, g.Emit("Mul", {g.OutputGrad(0), slope}));
}

Status GradCosh(GradBuilder& g) { return GradThrough(g, "Sinh"); }
Status GradSin(GradBuilder& g) { return GradThrough(g, "Cos"); }
Status GradSinh(GradBuilder& g) { return GradThrough(g, "Cosh"); }

Status GradElu(GradBuilder& g) {
  return SetGrad(g, 0, g.Emit("EluGrad", {g.OutputGrad(0), g.Output(0)}, g.op().attributes()));
}

Status GradErf(GradBuilder& g) {
  return SetGrad(g, 0, g.Emit("ErfGrad", {g.OutputGrad(0), g.Input(0)}));
}

Status GradExp(GradBuilder& g) {
  return SetGrad(g, 0, g.Emit("Mul", {g.OutputGrad(0), g.Output(0)}));
}

Status GradGelu(GradBuilder& g) {
  return SetGrad(g, 0, g.Emit("GeluGrad", {g.OutputGrad(0), g.Input(0)}));
}

Status GradHardSigmoid(GradBuilder& g) {
  return SetGrad(g, 0,
                 g.Emit("HardSigmoidGrad", {g.OutputGrad(0), g.Input(0)}, g.op().attributes()));
}

Status GradHardSwish(GradBuilder& g) {
  return SetGrad(g, 0, g.Emit("HardSwishGrad", {g.OutputGrad(0), g.Input(0)}));
}

Status GradIdentity(GradBuilder& g) { return SetGrad(g, 0, g.OutputGrad(0)); }

Status GradLeakyRelu(GradBuilder& g) {
  return SetGrad(g, 0, g.Emit("LeakyReluGrad", {g.OutputGrad(0), g.Input(0)}, g.op().attributes()));
}

Status GradLog(GradBuilder& g) {
  return SetGrad(g, 0, g.Emit("Div", {g.OutputGrad(0), g.Input(0)}));
}

Status GradNeg(GradBuilder& g) { return SetGrad(g, 0, g.Emit("Neg", {g.OutputGrad(0)})); }

// dx = -dy * y^2
Status GradReciprocal(GradBuilder& g) {
  WSI_ASSIGN_OR_RETURN(const ValueId square, g.Emit("Mul", {g.Output(0), g.Output(0)}));
  WSI_ASSIGN_OR_RETURN(const ValueId product, g.Emit("Mul", {g.OutputGrad(0), square}));
  return SetGrad(g, 0, g.Emit("Neg", {product}));
}

// dx = dy where y > 0. Reads y, not x, so x need not stay live.
Status GradRelu(GradBuilder& g) {
  return SetGrad(g, 0, g.Emit("ReluGrad", {g.OutputGrad(0), g.Output(0)}));
}

Status GradSigmoid(GradBuilder& g) {
  return SetGrad(g, 0, g.Emit("SigmoidGrad", {g.OutputGrad(0), g.Output(0)}));
}

Status GradSoftplus(GradBuilder& g) { return GradThrough(g, "Sigmoid"); }

// dx = dy / (2 y)
Status GradSqrt(GradBuilder& g) {
  WSI_ASSIGN_OR_RETURN(const ValueId half, EmitScaled(g, g.OutputGrad(0), 0.5));
  return SetGrad(g, 0, g.Emit("Div", {half, g.Output(0)}));
}

Status GradTanh(GradBuilder& g) {
  return SetGrad(g, 0, g.Emit("TanhGrad", {g.OutputGrad(0), g.Output(0)}));
}

template <typename F>
Result<Tensor> MapDoubles(const Tensor& x, F f) {
  std::vector<double> values = x.ToDoubles();
  for (double& value : values) value = f(value);
  return TensorFromDoubles(x.dtype(), x.shape(), values);
}

template <typename F>
Result<Tensor> MapInts(const Tensor& x, F f) {
  WSI_ASSIGN_OR_RETURN(std::vector<int64_t> values, IntsOf(x));
  for (int64_t& value : values) {
    WSI_ASSIGN_OR_RETURN(value, f(value));
  }
  return TensorFromInts(x.dtype(), x.shape(), values);
}

template <double (*kFunction)(double)>
FoldedTensors FoldFloats(const OpView& /*op*/, std::span<const Tensor* const> inputs) {
  return OneTensor(MapDoubles(Constant(inputs, 0), kFunction));
}

double CosOf(double x) { return std::cos(x); }
double RoundOf(double x) { return std::nearbyint(x); }
double SinOf(double x) { return std::sin(x); }
double CeilOf(double x) { return std::ceil(x); }
double ExpOf(double x) { return std::exp(x); }
double FloorOf(double x) { return std::floor(x); }
double LogOf(double x) { return std::log(x); }
double ReciprocalOf(double x) { return 1 / x; }
double ReluOf(double x) { return x < 0 ? 0 : x; }
double SqrtOf(double x) { return std::sqrt(x); }
double SignOf(double x) { return x > 0 ? 1 : (x < 0 ? -1 : x); }

FoldedTensors FoldNeg(const OpView& /*op*/, std::span<const Tensor* const> inputs) {
  const Tensor& x = Constant(inputs, 0);
  if (IsFloat(x.dtype())) return OneTensor(MapDoubles(x, [](double v) { return -v; }));
  return OneTensor(MapInts(x, [](int64_t v) { return CheckedMul(v, -1); }));
}

FoldedTensors FoldAbs(const OpView& /*op*/, std::span<const Tensor* const> inputs) {
  const Tensor& x = Constant(inputs, 0);
  if (IsFloat(x.dtype())) return OneTensor(MapDoubles(x, [](double v) { return std::abs(v); }));
  return OneTensor(MapInts(x, [](int64_t v) { return CheckedMul(v, v < 0 ? -1 : 1); }));
}

FoldedTensors FoldSign(const OpView& /*op*/, std::span<const Tensor* const> inputs) {
  const Tensor& x = Constant(inputs, 0);
  if (IsFloat(x.dtype())) return OneTensor(MapDoubles(x, SignOf));
  return OneTensor(
      MapInts(x, [](int64_t v) -> Result<int64_t> { return int64_t{v > 0} - int64_t{v < 0}; }));
}

FoldedTensors FoldNot(const OpView& /*op*/, std::span<const Tensor* const> inputs) {
  return OneTensor(
      MapInts(Constant(inputs, 0), [](int64_t v) -> Result<int64_t> { return int64_t{v == 0}; }));
}

FoldedTensors FoldCast(const OpView& op, std::span<const Tensor* const> inputs) {
  WSI_ASSIGN_OR_RETURN(const DType to, CheckedDType(op.attributes(), "to"));
  return OneTensor(Constant(inputs, 0).Cast(to));
}

FoldedTensors FoldIdentity(const OpView& /*op*/, std::span<const Tensor* const> inputs) {
  return OneTensor(Constant(inputs, 0).Clone());
}

FoldedTensors FoldClip(const OpView& op, std::span<const Tensor* const> inputs) {
  const Tensor& x = Constant(inputs, 0);
  const double low = op.attributes().Float("min", -std::numeric_limits<double>::infinity());
  const double high = op.attributes().Float("max", std::numeric_limits<double>::infinity());
  const auto clip = [&](double v) { return v > high ? high : (v < low ? std::min(low, high) : v); };
  if (IsFloat(x.dtype())) return OneTensor(MapDoubles(x, clip));
  return OneTensor(MapInts(x, [&](int64_t v) -> Result<int64_t> {
    const double clipped = clip(static_cast<double>(v));
    return clipped == static_cast<double>(v) ? v : static_cast<int64_t>(clipped);
  }));
}

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
constinit const OpDef kCeil =
    Unary("Ceil", "x -> the least integer >= x", {.none_because = kFlat}, FoldFloats<CeilOf>);
constinit const OpDef kClip = [] {
  OpDef op = Unary("Clip",
                   "x -> min(max(x, min), max) {min=-inf, max=inf, floats}; gradient 1 strictly "
                   "inside (min, max), 0 on and beyond the limits, as PyTorch's hardtanh and relu6",
                   {.build = GradClip}, FoldClip);
  op.infer = InferClip;
  return op;
}();
constinit const OpDef kCos =
    Unary("Cos", "x -> cos(x)", {.build = GradCos}, FoldFloats<CosOf>, HalfPolicy::kFloat32);
constinit const OpDef kCosh =
    Unary("Cosh", "x -> (e^x + e^-x) / 2", {.build = GradCosh}, nullptr, HalfPolicy::kFloat32);
constinit const OpDef kElu = [] {
  OpDef op = Unary("Elu", "x -> x where x > 0, else alpha * (exp(x) - 1) {alpha=1, >= 0}",
                   {.build = GradElu}, nullptr, HalfPolicy::kFloat32);
  op.infer = InferElu;
  return op;
}();
constinit const OpDef kErf = Unary("Erf", "x -> 2/sqrt(pi) * integral of exp(-t^2) from 0 to x",
                                   {.build = GradErf}, nullptr, HalfPolicy::kFloat32);
constinit const OpDef kExp =
    Unary("Exp", "x -> e^x", {.build = GradExp}, FoldFloats<ExpOf>, HalfPolicy::kFloat32);
constinit const OpDef kFloor =
    Unary("Floor", "x -> the greatest integer <= x", {.none_because = kFlat}, FoldFloats<FloorOf>);
constinit const OpDef kGelu = Unary("Gelu", "x -> x / 2 * (1 + erf(x / sqrt(2)))",
                                    {.build = GradGelu}, nullptr, HalfPolicy::kFloat32);
constinit const OpDef kHardSigmoid = [] {
  OpDef op = Unary("HardSigmoid", "x -> max(0, min(1, alpha * x + beta)) {alpha=0.2, beta=0.5}",
                   {.build = GradHardSigmoid}, nullptr);
  op.infer = InferHardSigmoid;
  return op;
}();
constinit const OpDef kHardSwish =
    Unary("HardSwish", "x -> x * max(0, min(1, x / 6 + 0.5))", {.build = GradHardSwish}, nullptr);
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
    Unary("Log", "x -> ln x", {.build = GradLog}, FoldFloats<LogOf>, HalfPolicy::kFloat32);
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
                                          FoldFloats<ReciprocalOf>, HalfPolicy::kFloat32);
constinit const OpDef kRelu =
    Unary("Relu", "x -> max(x, 0)", {.build = GradRelu}, FoldFloats<ReluOf>);
constinit const OpDef kRound = Unary("Round", "x -> the nearest integer, of two the even one",
                                     {.none_because = kFlat}, FoldFloats<RoundOf>);
constinit const OpDef kSigmoid =
    Unary("Sigmoid", "x -> 1 / (1 + exp(-x))", {.build = GradSigmoid}, nullptr);
constinit const OpDef kSign = [] {
  OpDef op = Unary("Sign", "x -> -1, 0 or 1; any number type", {.none_because = kFlat}, FoldSign);
  op.infer = InferNumberUnary;
  return op;
}();
constinit const OpDef kSin =
    Unary("Sin", "x -> sin(x)", {.build = GradSin}, FoldFloats<SinOf>, HalfPolicy::kFloat32);
constinit const OpDef kSinh =
    Unary("Sinh", "x -> (e^x - e^-x) / 2", {.build = GradSinh}, nullptr, HalfPolicy::kFloat32);
constinit const OpDef kSoftplus = Unary("Softplus", "x -> ln(1 + exp(x))", {.build = GradSoftplus},
                                        nullptr, HalfPolicy::kFloat32);
constinit const OpDef kSqrt =
    Unary("Sqrt", "x -> sqrt(x)", {.build = GradSqrt}, FoldFloats<SqrtOf>);
constinit const OpDef kTanh = Unary("Tanh", "x -> tanh(x)", {.build = GradTanh}, nullptr);

}  // namespace wsi
