#include "runtime/backends/cuda/pointwise_formulas.h"

#include <fmt/format.h>

#include <bit>

namespace wsi::cuda {
namespace {

// {0} to {2}: operands; {3} and {4}: the step's numbers; {5}: 1 less the first of them.
struct Formula {
  std::string_view op;
  std::string_view text;
  bool of_integers = false;            // Has a meaning for them too, namely:
  std::string_view integer_text = {};  // empty: the same text.
};

// NaN passes through every one of them, and wins in Max and Min.
constexpr Formula kFormulas[] = {
    {"Abs", "fabs({0})", true, "({0} < 0 ? -{0} : {0})"},
    {"AccumulateGrad", "{0} + {1}", true},
    {"Add", "{0} + {1}", true},
    {"And", "(V)({0} != 0 && {1} != 0)", true},
    {"Ceil", "ceil({0})"},
    {"Clip", "Clip({0}, {3}, {4})"},
    {"ClipGrad", "{3} < {1} && {1} < {4} ? {0} : (V)0"},
    {"Cos", "cos({0})"},
    {"Cosh", "cosh({0})"},
    {"Div", "{0} / {1}", true, "Quotient({0}, {1})"},
    {"Elu", "{0} < 0 ? {3} * expm1({0}) : {0}"},
    {"EluGrad", "{1} > 0 ? {0} : {0} * ({1} + {3})"},
    {"Equal", "(V)({0} == {1})", true},
    {"Erf", "erf({0})"},
    {"ErfGrad", "{0} * (V)1.1283791670955126 * exp(-{1} * {1})"},
    {"Exp", "exp({0})"},
    {"Floor", "floor({0})"},
    {"Gelu", "{0} * normcdf({0})"},
    {"GeluGrad", "{0} * (normcdf({1}) + {1} * (V)0.3989422804014327 * exp(-{1} * {1} / 2))"},
    {"Greater", "(V)({0} > {1})", true},
    {"HardSigmoid", "Clip({3} * {0} + {4}, (V)0, (V)1)"},
    {"HardSigmoidGrad", "(V)0 < {3} * {1} + {4} && {3} * {1} + {4} < (V)1 ? {0} * {3} : (V)0"},
    {"HardSwish", "{0} * Clip({0} / 6 + (V)0.5, (V)0, (V)1)"},
    {"HardSwishGrad", "{1} >= 3 ? {0} : {1} <= -3 ? (V)0 : {0} * ({1} / 3 + (V)0.5)"},
    {"Identity", "{0}", true},
    {"LeakyRelu", "{0} < 0 ? {3} * {0} : {0}"},
    {"LeakyReluGrad", "{1} > 0 ? {0} : {0} * {3}"},
    {"Less", "(V)({0} < {1})", true},
    {"Log", "log({0})"},
    {"Max", "{0} != {0} || {0} > {1} ? {0} : {1}", true},
    {"Min", "{0} != {0} || {0} < {1} ? {0} : {1}", true},
    {"Mod", "Modulo({0}, {1}, {3} != 0)", true, "IntegerModulo({0}, {1}, {3} != 0)"},
    {"MovingAverage", "{0} * {3} + {1} * {5}"},
    {"Mul", "{0} * {1}", true},
    {"Neg", "-{0}", true},
    {"Not", "(V)({0} == 0)", true},
    {"Or", "(V)({0} != 0 || {1} != 0)", true},
    {"Pow", "pow({0}, {1})"},
    {"Reciprocal", "(V)1 / {0}"},
    {"Relu", "{0} < 0 ? (V)0 : {0}", true},
    {"ReluGrad", "{1} > 0 ? {0} : (V)0", true},
    {"Round", "rint({0})"},
    {"Sigmoid", "Sigmoid({0})"},
    {"SigmoidGrad", "{0} * {1} * ((V)1 - {1})"},
    {"Sign", "{0} > 0 ? (V)1 : {0} < 0 ? (V)-1 : {0}", true},
    {"Sin", "sin({0})"},
    {"Sinh", "sinh({0})"},
    {"Softplus", "({0} > 0 ? {0} : {0} != {0} ? {0} : (V)0) + log1p(exp(-fabs({0})))"},
    {"Sqrt", "sqrt({0})"},
    {"Sub", "{0} - {1}", true},
    {"Tanh", "tanh({0})"},
    {"TanhGrad", "{0} * ((V)1 - {1} * {1})"},
    {"Where", "{0} != 0 ? {1} : {2}", true},
};

// Integers divide toward zero, by 0 give 0, and wrap around.
constexpr std::string_view kFloatFunctions = R"(
__device__ V Clip(V x, V low, V high) {
  const V raised = x < low ? low : x;
  return raised > high ? high : raised;
}
__device__ V Sigmoid(V x) {
  const V e = exp(-fabs(x));
  return x >= 0 ? (V)1 / ((V)1 + e) : e / ((V)1 + e);
}
__device__ V Modulo(V a, V b, bool dividend) {
  const V rest = fmod(a, b);
  if (dividend) return rest;
  if (rest == 0) return copysign(rest, b);
  return (rest < 0) != (b < 0) ? rest + b : rest;
}
)";
constexpr std::string_view kIntegerFunctions = R"(
constexpr bool kSigned = (V)-1 < (V)0;
__device__ V Quotient(V a, V b) {
  if (b == 0) return 0;
  return kSigned && b == (V)-1 ? (V)0 - a : a / b;
}
__device__ V IntegerModulo(V a, V b, bool dividend) {
  if (b == 0 || (kSigned && b == (V)-1)) return 0;
  const V rest = a % b;
  return !dividend && rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}
)";

}  // namespace

std::string_view PointwiseFunctions(DType computed) {
  return IsFloat(computed) ? kFloatFunctions : kIntegerFunctions;
}

std::string_view ComputedName(DType computed) {
  switch (computed) {
    case DType::kF64: return "double";
    case DType::kI64: return "long long";
    case DType::kI32: return "int";
    case DType::kU64: return "unsigned long long";
    case DType::kU32: return "unsigned";
    default: return "float";
  }
}

std::string NumberText(double number, DType computed) {
  switch (computed) {
    case DType::kF64:
      return fmt::format("__longlong_as_double(0x{:x}LL)", std::bit_cast<uint64_t>(number));
    case DType::kI64:
    case DType::kI32:
    case DType::kU64:
    case DType::kU32: return fmt::format("((V){})", static_cast<int64_t>(number));
    default:
      return fmt::format("__int_as_float(0x{:x})",
                         std::bit_cast<uint32_t>(static_cast<float>(number)));
  }
}

Result<std::string> FormulaText(const PointwiseStep& step, std::span<const std::string> operands,
                                DType computed) {
  const bool integers = !IsFloat(computed);
  for (const Formula& formula : kFormulas) {
    if (formula.op != step.op->name) continue;
    if (integers && !formula.of_integers) break;
    const bool own = integers && !formula.integer_text.empty();
    const auto text = [&](size_t i) { return i < operands.size() ? operands[i] : std::string(); };
    return fmt::format(fmt::runtime(own ? formula.integer_text : formula.text), text(0), text(1),
                       text(2), NumberText(step.numbers[0], computed),
                       NumberText(step.numbers[1], computed),
                       NumberText(1 - step.numbers[0], computed));
  }
  return InvalidInput(
      fmt::format("{} has no kernel for {}", step.op->name, ComputedName(computed)));
}

}  // namespace wsi::cuda
