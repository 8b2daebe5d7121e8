// Activations that are a few canonical operators each.
#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <numbers>

#include "frontends/onnx/canonical.h"

namespace wsi {
namespace {

// A binary operator on `value` and a number of its type.
Result<ValueId> WithNumber(NodeImport& n, std::string_view op, ValueId value, double number) {
  WSI_ASSIGN_OR_RETURN(const ValueId constant, n.NumberLike(value, number));
  return n.Emit(op, {value, constant});
}

}  // namespace

// alpha * elu(x / alpha), elu with slope 1.
Status ImportCelu(NodeImport& n) {
  WSI_RETURN_IF_ERROR(n.RequireInputs(1));
  const double alpha = n.Float("alpha", 1);
  if (alpha == 0 || !std::isfinite(alpha)) {
    return InvalidInput(fmt::format("alpha is {}; a number other than 0 is allowed", alpha));
  }
  if (alpha == 1) return n.Give("Elu", {n.Input(0)}, {{"alpha", 1.0}});
  WSI_ASSIGN_OR_RETURN(const ValueId scaled, WithNumber(n, "Mul", n.Input(0), 1 / alpha));
  WSI_ASSIGN_OR_RETURN(const ValueId elu, n.Emit("Elu", {scaled}, {{"alpha", 1.0}}));
  WSI_ASSIGN_OR_RETURN(const ValueId factor, n.NumberLike(elu, alpha));
  return n.Give("Mul", {elu, factor});
}

// approximate=tanh: x / 2 * (1 + tanh(u)) = x * sigmoid(2 u), u = sqrt(2 / pi) * (x + 0.044715
// x^3).
Status ImportGelu(NodeImport& n) {
  WSI_RETURN_IF_ERROR(n.RequireInputs(1));
  const std::string approximate = n.String("approximate", "none");
  if (approximate == "none") return n.Give("Gelu", {n.Input(0)});
  if (approximate != "tanh") return InvalidInput("approximate is none of none, tanh");
  const ValueId x = n.Input(0);
  const double slope = 2 * std::numbers::sqrt2 * std::numbers::inv_sqrtpi;
  WSI_ASSIGN_OR_RETURN(ValueId value, n.Emit("Mul", {x, x}));
  WSI_ASSIGN_OR_RETURN(value, WithNumber(n, "Mul", value, 0.044715 * slope));
  WSI_ASSIGN_OR_RETURN(value, WithNumber(n, "Add", value, slope));
  WSI_ASSIGN_OR_RETURN(value, n.Emit("Mul", {value, x}));
  WSI_ASSIGN_OR_RETURN(value, n.Emit("Sigmoid", {value}));
  return n.Give("Mul", {x, value});
}

Status ImportMish(NodeImport& n) {
  WSI_RETURN_IF_ERROR(n.RequireInputs(1));
  WSI_ASSIGN_OR_RETURN(ValueId value, n.Emit("Softplus", {n.Input(0)}));
  WSI_ASSIGN_OR_RETURN(value, n.Emit("Tanh", {value}));
  return n.Give("Mul", {n.Input(0), value});
}

// x where it is not negative, else slope * x.
Status ImportPRelu(NodeImport& n) {
  WSI_RETURN_IF_ERROR(n.RequireInputs(2));
  const Shape& x = n.InputShape(0);
  const Result<Shape> stretched = BroadcastShapes(n.InputShape(1), x);
  if (!stretched.ok() || *stretched != x) {
    return InvalidInput(
        fmt::format("slope {} does not broadcast to {}", n.InputShape(1).ToString(), x.ToString()));
  }
  WSI_ASSIGN_OR_RETURN(const ValueId negative, WithNumber(n, "Less", n.Input(0), 0));
  WSI_ASSIGN_OR_RETURN(const ValueId scaled, n.Emit("Mul", n.inputs()));
  return n.Give("Where", {negative, scaled, n.Input(0)});
}

Status ImportSelu(NodeImport& n) {
  WSI_RETURN_IF_ERROR(n.RequireInputs(1));
  const double alpha = n.Float("alpha", 1.67326319217681884765625);
  const double gamma = n.Float("gamma", 1.05070102214813232421875);
  WSI_ASSIGN_OR_RETURN(const ValueId elu, n.Emit("Elu", {n.Input(0)}, {{"alpha", alpha}}));
  WSI_ASSIGN_OR_RETURN(const ValueId factor, n.NumberLike(elu, gamma));
  return n.Give("Mul", {elu, factor});
}

// x + bias below -lambd, x - bias above lambd, 0 between.
Status ImportShrink(NodeImport& n) {
  WSI_RETURN_IF_ERROR(n.RequireInputs(1));
  const ValueId x = n.Input(0);
  const double bias = n.Float("bias", 0);
  const double lambd = n.Float("lambd", 0.5);
  WSI_ASSIGN_OR_RETURN(const ValueId zero, n.NumberLike(x, 0));
  WSI_ASSIGN_OR_RETURN(const ValueId below, WithNumber(n, "Less", x, -lambd));
  WSI_ASSIGN_OR_RETURN(const ValueId above, WithNumber(n, "Greater", x, lambd));
  WSI_ASSIGN_OR_RETURN(const ValueId raised, WithNumber(n, "Add", x, bias));
  WSI_ASSIGN_OR_RETURN(const ValueId lowered, WithNumber(n, "Sub", x, bias));
  WSI_ASSIGN_OR_RETURN(const ValueId upper, n.Emit("Where", {above, lowered, zero}));
  return n.Give("Where", {below, raised, upper});
}

Status ImportSoftsign(NodeImport& n) {
  WSI_RETURN_IF_ERROR(n.RequireInputs(1));
  WSI_ASSIGN_OR_RETURN(ValueId value, n.Emit("Abs", {n.Input(0)}));
  WSI_ASSIGN_OR_RETURN(value, WithNumber(n, "Add", value, 1));
  return n.Give("Div", {n.Input(0), value});
}

Status ImportSwish(NodeImport& n) {
  WSI_RETURN_IF_ERROR(n.RequireInputs(1));
  const double alpha = n.Float("alpha", 1);
  ValueId value = n.Input(0);
  if (alpha != 1) {
    WSI_ASSIGN_OR_RETURN(value, WithNumber(n, "Mul", value, alpha));
  }
  WSI_ASSIGN_OR_RETURN(value, n.Emit("Sigmoid", {value}));
  return n.Give("Mul", {n.Input(0), value});
}

Status ImportTan(NodeImport& n) {
  WSI_RETURN_IF_ERROR(n.RequireInputs(1));
  WSI_ASSIGN_OR_RETURN(const ValueId sine, n.Emit("Sin", {n.Input(0)}));
  WSI_ASSIGN_OR_RETURN(const ValueId cosine, n.Emit("Cos", {n.Input(0)}));
  return n.Give("Div", {sine, cosine});
}

Status ImportThresholdedRelu(NodeImport& n) {
  WSI_RETURN_IF_ERROR(n.RequireInputs(1));
  WSI_ASSIGN_OR_RETURN(const ValueId above,
                       WithNumber(n, "Greater", n.Input(0), n.Float("alpha", 1)));
  WSI_ASSIGN_OR_RETURN(const ValueId zero, n.NumberLike(n.Input(0), 0));
  return n.Give("Where", {above, n.Input(0), zero});
}

// Only NaN differs from itself.
Status ImportIsNaN(NodeImport& n) {
  WSI_RETURN_IF_ERROR(n.RequireInputs(1));
  WSI_ASSIGN_OR_RETURN(const ValueId same, n.Emit("Equal", {n.Input(0), n.Input(0)}));
  return n.Give("Not", {same});
}

Status ImportIsInf(NodeImport& n) {
  WSI_RETURN_IF_ERROR(n.RequireInputs(1));
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const bool positive = n.Int("detect_positive", 1) != 0;
  const bool negative = n.Int("detect_negative", 1) != 0;
  WSI_ASSIGN_OR_RETURN(const ValueId above, n.NumberLike(n.Input(0), kInfinity));
  WSI_ASSIGN_OR_RETURN(const ValueId below, n.NumberLike(n.Input(0), -kInfinity));
  if (positive != negative) return n.Give("Equal", {n.Input(0), positive ? above : below});
  WSI_ASSIGN_OR_RETURN(const ValueId is_above, n.Emit("Equal", {n.Input(0), above}));
  WSI_ASSIGN_OR_RETURN(const ValueId is_below, n.Emit("Equal", {n.Input(0), below}));
  // With neither asked for: nothing is both.
  return n.Give(positive ? "Or" : "And", {is_above, is_below});
}

Status ImportXor(NodeImport& n) {
  WSI_RETURN_IF_ERROR(n.RequireInputs(2));
  WSI_ASSIGN_OR_RETURN(const ValueId same, n.Emit("Equal", n.inputs()));
  return n.Give("Not", {same});
}

}  // namespace wsi
