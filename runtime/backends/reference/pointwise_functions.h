// Elementwise operators as functions of one element.
#pragma once

#include <cmath>
#include <limits>
#include <string_view>
#include <type_traits>
#include <utility>

namespace wsi::reference {

struct ScalarNumbers {
  double alpha = 0;
  double beta = 0;
  double min = -std::numeric_limits<double>::infinity();
  double max = std::numeric_limits<double>::infinity();
};

// Of one tensor. alpha and beta: what they are where the launch does not say.
struct UnaryFunction {
  std::string_view op;
  double (*f)(double x, const ScalarNumbers& numbers);
  double alpha = 0;
  double beta = 0;
};
// A gradient: v is x or y, as OpDef's summary says.
struct GradientFunction {
  std::string_view op;
  double (*f)(double dy, double v, const ScalarNumbers& numbers);
  double alpha = 0;
  double beta = 0;
};

// Null if there is none.
const UnaryFunction* FindUnaryFunction(std::string_view op);
const GradientFunction* FindGradientFunction(std::string_view op);

// What is left of a division, with the sign of b or, as C's fmod, of a. Of integers, a
// division by 0 gives 0.
template <typename T>
T Modulo(T a, T b, bool fmod) {
  T rest = 0;
  if constexpr (std::is_integral_v<T>) {
    if (b == 0 || std::cmp_equal(b, -1)) return 0;
    rest = static_cast<T>(a % b);
  } else {
    rest = std::fmod(a, b);
    if (rest == 0 && !fmod) return std::copysign(rest, b);
  }
  const bool crosses = !fmod && rest != 0 && (rest < 0) != (b < 0);
  return crosses ? static_cast<T>(rest + b) : rest;
}

}  // namespace wsi::reference
