// Elementwise operators as functions of one element, on fp32 and fp64. For loop files only
// (isa.h), in their namespace.
#pragma once

#include <cstdint>

#include "runtime/backends/cpu/loops/pointwise_loops.h"
#include "runtime/backends/cpu/loops/vector_math.h"

namespace wsi::cpu::WSI_ISA {
namespace {

template <typename R>
using Numbers = PointwiseNumbers<R>;

inline float SqrtOf(float x) { return __builtin_sqrtf(x); }
inline double SqrtOf(double x) { return __builtin_sqrt(x); }
inline float AbsOf(float x) { return __builtin_fabsf(x); }
inline double AbsOf(double x) { return __builtin_fabs(x); }
inline float FloorOf(float x) { return __builtin_floorf(x); }
inline double FloorOf(double x) { return __builtin_floor(x); }
inline float CeilOf(float x) { return __builtin_ceilf(x); }
inline double CeilOf(double x) { return __builtin_ceil(x); }
inline float CosOf(float x) { return __builtin_cosf(x); }
inline double CosOf(double x) { return __builtin_cos(x); }
inline float CoshOf(float x) { return __builtin_coshf(x); }
inline double CoshOf(double x) { return __builtin_cosh(x); }
inline float SinOf(float x) { return __builtin_sinf(x); }
inline double SinOf(double x) { return __builtin_sin(x); }
inline float SinhOf(float x) { return __builtin_sinhf(x); }
inline double SinhOf(double x) { return __builtin_sinh(x); }
inline float RintOf(float x) { return __builtin_rintf(x); }
inline double RintOf(double x) { return __builtin_rint(x); }
inline float FmodOf(float x, float y) { return __builtin_fmodf(x, y); }
inline double FmodOf(double x, double y) { return __builtin_fmod(x, y); }
inline float CopysignOf(float x, float y) { return __builtin_copysignf(x, y); }
inline double CopysignOf(double x, double y) { return __builtin_copysign(x, y); }
inline float PowOf(float x, float y) { return __builtin_powf(x, y); }
inline double PowOf(double x, double y) { return __builtin_pow(x, y); }

struct Relu {
  template <typename R>
  static R Of(R x, Numbers<R>) {
    return x < R{0} ? R{0} : x;
  }
};
struct Sigmoid {
  template <typename R>
  static R Of(R x, Numbers<R>) {
    return SigmoidOf(x);
  }
};
struct Tanh {
  template <typename R>
  static R Of(R x, Numbers<R>) {
    return TanhOf(x);
  }
};
struct Exp {
  template <typename R>
  static R Of(R x, Numbers<R>) {
    return ExpOf(x);
  }
};
struct Log {
  template <typename R>
  static R Of(R x, Numbers<R>) {
    return LogOf(x);
  }
};
struct Sqrt {
  template <typename R>
  static R Of(R x, Numbers<R>) {
    return SqrtOf(x);
  }
};
struct Neg {
  template <typename R>
  static R Of(R x, Numbers<R>) {
    return -x;
  }
};
struct Abs {
  template <typename R>
  static R Of(R x, Numbers<R>) {
    return AbsOf(x);
  }
};
struct Reciprocal {
  template <typename R>
  static R Of(R x, Numbers<R>) {
    return R{1} / x;
  }
};
struct Erf {
  template <typename R>
  static R Of(R x, Numbers<R>) {
    return ErfOf(x);
  }
};
// log(1 + e^x) without overflow.
struct Softplus {
  template <typename R>
  static R Of(R x, Numbers<R>) {
    return (x > R{0} ? x : R{0}) + Log1pOf(ExpOf(-AbsOf(x)));
  }
};
// NaN stays NaN in all that clamp.
struct Clip {
  template <typename R>
  static R Of(R x, Numbers<R> k) {
    const R v = x < k.a ? k.a : x;
    return v > k.b ? k.b : v;
  }
};
struct HardSigmoid {
  template <typename R>
  static R Of(R x, Numbers<R> k) {
    return Clip::Of(k.a * x + k.b, Numbers<R>{0, 1});
  }
};
struct HardSwish {
  template <typename R>
  static R Of(R x, Numbers<R>) {
    return x * Clip::Of(x * (R{1} / R{6}) + R{0.5}, Numbers<R>{0, 1});
  }
};
struct LeakyRelu {
  template <typename R>
  static R Of(R x, Numbers<R> k) {
    return x < R{0} ? x * k.a : x;
  }
};
struct Elu {
  template <typename R>
  static R Of(R x, Numbers<R> k) {
    return x < R{0} ? k.a * Expm1Of(x) : x;
  }
};
struct Sign {
  template <typename R>
  static R Of(R x, Numbers<R>) {
    return x > R{0} ? R{1} : (x < R{0} ? -R{1} : x);
  }
};
struct Floor {
  template <typename R>
  static R Of(R x, Numbers<R>) {
    return FloorOf(x);
  }
};
struct Ceil {
  template <typename R>
  static R Of(R x, Numbers<R>) {
    return CeilOf(x);
  }
};

struct Cos {
  template <typename R>
  static R Of(R x, Numbers<R>) {
    return CosOf(x);
  }
};
struct Cosh {
  template <typename R>
  static R Of(R x, Numbers<R>) {
    return CoshOf(x);
  }
};
// The distribution function of the standard normal distribution, exact in the lower tail.
template <typename R>
R Normal(R x) {
  return R{0.5} * ErfcOf(x * static_cast<R>(-0.70710678118654752440));
}
struct Gelu {
  template <typename R>
  static R Of(R x, Numbers<R>) {
    return x * Normal(x);
  }
};
struct Round {
  template <typename R>
  static R Of(R x, Numbers<R>) {
    return RintOf(x);
  }
};
struct Sin {
  template <typename R>
  static R Of(R x, Numbers<R>) {
    return SinOf(x);
  }
};
struct Sinh {
  template <typename R>
  static R Of(R x, Numbers<R>) {
    return SinhOf(x);
  }
};

struct Add {
  template <typename R>
  static R Of(R a, R b, Numbers<R>) {
    return a + b;
  }
};
struct Sub {
  template <typename R>
  static R Of(R a, R b, Numbers<R>) {
    return a - b;
  }
};
struct Mul {
  template <typename R>
  static R Of(R a, R b, Numbers<R>) {
    return a * b;
  }
};
struct Div {
  template <typename R>
  static R Of(R a, R b, Numbers<R>) {
    return a / b;
  }
};
struct Pow {
  template <typename R>
  static R Of(R a, R b, Numbers<R>) {
    return PowOf(a, b);
  }
};
struct Max {
  template <typename R>
  static R Of(R a, R b, Numbers<R>) {
    return a > b || a != a ? a : b;
  }
};
struct Min {
  template <typename R>
  static R Of(R a, R b, Numbers<R>) {
    return a < b || a != a ? a : b;
  }
};

// What is left of a division is exact; with another sign than b one b more brings it over.
struct Mod {
  template <typename R>
  static R Of(R a, R b, Numbers<R> k) {
    const R rest = FmodOf(a, b);
    if (k.a != R{0}) return rest;
    if (rest == R{0}) return CopysignOf(R{0}, b);
    return (rest < R{0}) != (b < R{0}) ? rest + b : rest;
  }
};

struct ReluGrad {
  template <typename R>
  static R Of(R g, R y, Numbers<R>) {
    return y > R{0} ? g : R{0};
  }
};
struct ClipGrad {
  template <typename R>
  static R Of(R g, R x, Numbers<R> k) {
    return x > k.a && x < k.b ? g : R{0};
  }
};
struct SigmoidGrad {
  template <typename R>
  static R Of(R g, R y, Numbers<R>) {
    return g * y * (R{1} - y);
  }
};
struct TanhGrad {
  template <typename R>
  static R Of(R g, R y, Numbers<R>) {
    return g * (R{1} - y * y);
  }
};
struct ErfGrad {
  template <typename R>
  static R Of(R g, R x, Numbers<R>) {
    return g * static_cast<R>(1.12837916709551257390) * ExpOf(-x * x);  // 2 / sqrt(pi)
  }
};
struct GeluGrad {
  template <typename R>
  static R Of(R g, R x, Numbers<R>) {
    const R density = static_cast<R>(0.39894228040143267794) * ExpOf(R{-0.5} * x * x);
    return g * (Normal(x) + x * density);
  }
};
struct HardSigmoidGrad {
  template <typename R>
  static R Of(R g, R x, Numbers<R> k) {
    const R v = k.a * x + k.b;
    return v > R{0} && v < R{1} ? g * k.a : R{0};
  }
};
struct HardSwishGrad {
  template <typename R>
  static R Of(R g, R x, Numbers<R>) {
    const R inside = g * (x * (R{1} / R{3}) + R{0.5});
    const R v = x < R{3} ? inside : g;
    return x > -R{3} ? v : R{0};
  }
};
struct LeakyReluGrad {
  template <typename R>
  static R Of(R g, R x, Numbers<R> k) {
    return x > R{0} ? g : g * k.a;
  }
};
struct EluGrad {
  template <typename R>
  static R Of(R g, R y, Numbers<R> k) {
    return y > R{0} ? g : g * (y + k.a);
  }
};
struct MovingAverage {
  template <typename R>
  static R Of(R a, R b, Numbers<R> k) {
    return a * k.a + b * (R{1} - k.a);
  }
};

struct Equal {
  template <typename R>
  static uint8_t Of(R a, R b, Numbers<R>) {
    return a == b ? 1 : 0;
  }
};
struct Less {
  template <typename R>
  static uint8_t Of(R a, R b, Numbers<R>) {
    return a < b ? 1 : 0;
  }
};
struct Greater {
  template <typename R>
  static uint8_t Of(R a, R b, Numbers<R>) {
    return a > b ? 1 : 0;
  }
};

// A comparison with its truth value in the operands' own type.
template <typename F>
struct TruthOf {
  template <typename R>
  static R Of(R a, R b, Numbers<R> k) {
    return F::Of(a, b, k) != 0 ? R{1} : R{0};
  }
};
struct And {
  template <typename R>
  static R Of(R a, R b, Numbers<R>) {
    return a != R{0} && b != R{0} ? R{1} : R{0};
  }
};
struct Or {
  template <typename R>
  static R Of(R a, R b, Numbers<R>) {
    return a != R{0} || b != R{0} ? R{1} : R{0};
  }
};
struct Not {
  template <typename R>
  static R Of(R x, Numbers<R>) {
    return x == R{0} ? R{1} : R{0};
  }
};

}  // namespace
}  // namespace wsi::cpu::WSI_ISA
