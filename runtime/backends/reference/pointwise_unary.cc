// Functions of one tensor, and their gradients, element by element in fp64. Attributes
// and formulas as ONNX states them.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numbers>
#include <type_traits>
#include <utility>

#include "runtime/backends/reference/element_types.h"
#include "runtime/backends/reference/kernels.h"
#include "runtime/backends/reference/launch_check.h"
#include "runtime/backends/reference/pointwise_functions.h"

namespace wsi::reference {
namespace {

// alpha and beta: what they are where the launch does not say.
ScalarNumbers ReadNumbers(LaunchCheck& check, double alpha, double beta) {
  ScalarNumbers p;
  p.alpha = check.Float("alpha", alpha);
  p.beta = check.Float("beta", beta);
  p.min = check.Float("min", p.min);
  p.max = check.Float("max", p.max);
  return p;
}

using P = const ScalarNumbers&;

double Sigmoid(double x) {
  return x >= 0 ? 1 / (1 + std::exp(-x)) : std::exp(x) / (1 + std::exp(x));
}

// The distribution function of the standard normal distribution.
double Normal(double x) { return std::erfc(-x * std::numbers::sqrt2 / 2) / 2; }

double Clip(double x, double low, double high) {
  const double raised = x < low ? low : x;
  return raised > high ? high : raised;
}

// NaN passes through every one of them.
constexpr auto kFunctions = std::to_array<UnaryFunction>({
    {"Abs", [](double x, P) { return std::abs(x); }},
    {"Ceil", [](double x, P) { return std::ceil(x); }},
    {"Clip", [](double x, P p) { return Clip(x, p.min, p.max); }},
    {"Cos", [](double x, P) { return std::cos(x); }},
    {"Cosh", [](double x, P) { return std::cosh(x); }},
    {"Elu", [](double x, P p) { return x < 0 ? p.alpha * std::expm1(x) : x; }, 1},
    {"Erf", [](double x, P) { return std::erf(x); }},
    {"Exp", [](double x, P) { return std::exp(x); }},
    {"Floor", [](double x, P) { return std::floor(x); }},
    {"Gelu", [](double x, P) { return x * Normal(x); }},
    {"HardSigmoid", [](double x, P p) { return Clip(p.alpha * x + p.beta, 0, 1); }, 0.2, 0.5},
    {"HardSwish", [](double x, P) { return x * Clip(x / 6 + 0.5, 0, 1); }},
    {"LeakyRelu", [](double x, P p) { return x < 0 ? p.alpha * x : x; }, 0.01},
    {"Log", [](double x, P) { return std::log(x); }},
    {"Neg", [](double x, P) { return -x; }},
    {"Reciprocal", [](double x, P) { return 1 / x; }},
    {"Relu", [](double x, P) { return x < 0 ? 0 : x; }},
    {"Round", [](double x, P) { return std::nearbyint(x); }},
    {"Sigmoid", [](double x, P) { return Sigmoid(x); }},
    {"Sign", [](double x, P) { return x > 0   ? 1
                                      : x < 0 ? -1
                                              : x; }},
    {"Sin", [](double x, P) { return std::sin(x); }},
    {"Sinh", [](double x, P) { return std::sinh(x); }},
    {"Softplus", [](double x, P) { return (x > 0 ? x : 0) + std::log1p(std::exp(-std::abs(x))); }},
    {"Sqrt", [](double x, P) { return std::sqrt(x); }},
    {"Tanh", [](double x, P) { return std::tanh(x); }},
});

double HardSwishSlope(double x) { return x >= 3 ? 1 : x <= -3 ? 0 : x / 3 + 0.5; }

bool Between(double low, double x, double high) { return low < x && x < high; }

constexpr auto kGradients = std::to_array<GradientFunction>({
    {"ClipGrad", [](double dy, double x, P p) { return Between(p.min, x, p.max) ? dy : 0; }},
    {"EluGrad", [](double dy, double y, P p) { return y > 0 ? dy : dy * (y + p.alpha); }, 1},
    {"ErfGrad",
     [](double dy, double x, P) { return dy * 2 * std::numbers::inv_sqrtpi * std::exp(-x * x); }},
    {"GeluGrad",
     [](double dy, double x, P) {
       const double density = std::exp(-x * x / 2) * std::numbers::inv_sqrtpi / std::numbers::sqrt2;
       return dy * (Normal(x) + x * density);
     }},
    {"HardSigmoidGrad",
     [](double dy, double x, P p) {
       return Between(0, p.alpha * x + p.beta, 1) ? dy * p.alpha : 0;
     },
     0.2, 0.5},
    {"HardSwishGrad", [](double dy, double x, P) { return dy * HardSwishSlope(x); }},
    {"LeakyReluGrad", [](double dy, double x, P p) { return x > 0 ? dy : dy * p.alpha; }, 0.01},
    {"ReluGrad", [](double dy, double y, P) { return y > 0 ? dy : 0; }},
    {"SigmoidGrad", [](double dy, double y, P) { return dy * y * (1 - y); }},
    {"TanhGrad", [](double dy, double y, P) { return dy * (1 - y * y); }},
});

template <typename Table>
auto Find(const Table& table, std::string_view op) -> decltype(table.data()) {
  for (const auto& row : table) {
    if (row.op == op) return &row;
  }
  return nullptr;
}

// Of integers, which wrap.
template <typename T>
KernelResult IntegerUnary(LaunchCheck& check, std::string_view op) {
  T (*f)(T) = nullptr;
  if (op == "Abs") f = [](T x) { return std::cmp_less(x, 0) ? static_cast<T>(0 - x) : x; };
  if (op == "Neg") f = [](T x) { return static_cast<T>(0 - x); };
  if (op == "Relu") f = [](T x) { return std::cmp_less(x, 0) ? T{0} : x; };
  if (op == "Sign")
    f = [](T x) { return static_cast<T>(std::cmp_greater(x, 0) - std::cmp_less(x, 0)); };
  check.Require(f != nullptr, "has no kernel for integers");
  WSI_RETURN_IF_ERROR(check.status());
  return MakeKernel([f, n = check.input(0).ElementCount()](const LaunchArguments& arguments) {
    std::transform(arguments.input<T>(0), arguments.input<T>(0) + n, arguments.output<T>(0), f);
  });
}

KernelResult CompileIntegerUnary(LaunchCheck& check, std::string_view op) {
  WSI_RETURN_IF_ERROR(check.Operands("*", "*"));
  check.OutputIs(0, check.input(0));
  check.OutputIs(0, check.input_type(0));
  check.Require(check.input_type(0) != DType::kBool, "has no kernel for bool");
  WSI_RETURN_IF_ERROR(check.status());
  return ForElementType(check, check.input_type(0),
                        [&]<typename T>(std::type_identity<T>) -> KernelResult {
                          if constexpr (std::is_integral_v<T>) {
                            return IntegerUnary<T>(check, op);
                          } else {
                            return InternalError("a float among integers");
                          }
                        });
}

}  // namespace

const UnaryFunction* FindUnaryFunction(std::string_view op) { return Find(kFunctions, op); }
const GradientFunction* FindGradientFunction(std::string_view op) { return Find(kGradients, op); }

KernelResult CompileUnary(const LaunchSpec& launch) {
  LaunchCheck check(launch);
  if (check.HasInput(0) && !IsFloat(check.input_type(0))) {
    return CompileIntegerUnary(check, launch.op);
  }
  WSI_RETURN_IF_ERROR(check.Operands("F", "F"));
  const UnaryFunction* found = FindUnaryFunction(launch.op);
  WSI_CHECK(found != nullptr);
  const UnaryFunction& function = *found;
  const ScalarNumbers p = ReadNumbers(check, function.alpha, function.beta);
  check.OutputIs(0, check.input(0));
  WSI_RETURN_IF_ERROR(check.status());
  return MakeKernel(
      [f = function.f, p, count = check.input(0).ElementCount()](const LaunchArguments& arguments) {
        const double* x = arguments.input<double>(0);
        double* y = arguments.output<double>(0);
        for (int64_t i = 0; i < count; ++i) y[i] = f(x[i], p);
      });
}

KernelResult CompilePointwiseGradient(const LaunchSpec& launch) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("FF", "F"));
  const GradientFunction* found = FindGradientFunction(launch.op);
  WSI_CHECK(found != nullptr);
  const GradientFunction& function = *found;
  const ScalarNumbers p = ReadNumbers(check, function.alpha, function.beta);
  check.InputIs(1, check.input(0));
  check.OutputIs(0, check.input(0));
  WSI_RETURN_IF_ERROR(check.status());
  return MakeKernel(
      [f = function.f, p, count = check.input(0).ElementCount()](const LaunchArguments& arguments) {
        const double* dy = arguments.input<double>(0);
        const double* v = arguments.input<double>(1);
        double* dx = arguments.output<double>(0);
        for (int64_t i = 0; i < count; ++i) dx[i] = f(dy[i], v[i], p);
      });
}

}  // namespace wsi::reference
