// Elementary functions of fp32 without branches or calls, so that loops over them become
// vector code; of fp64, the C library's. For loop files only (isa.h), in their namespace.
//
// Each is a polynomial on a reduced argument, fitted to the function for the least
// largest relative error; all stay within 4 units in the last place of the exact value
// (tests/backends/cpu_vector_math_test.cc), and NaN and infinities pass as in C.
#pragma once

#include <cstdint>

namespace wsi::cpu::WSI_ISA {
namespace {

inline float FloatFrom(int32_t bits) { return __builtin_bit_cast(float, bits); }
inline int32_t BitsFrom(float x) { return __builtin_bit_cast(int32_t, x); }
inline float Select(bool condition, float a, float b) { return condition ? a : b; }
inline float Magnitude(float x) { return FloatFrom(BitsFrom(x) & 0x7FFFFFFF); }
// `magnitude` with the sign of `x`.
inline float WithSignOf(float magnitude, float x) {
  return FloatFrom((BitsFrom(magnitude) & 0x7FFFFFFF) |
                   (BitsFrom(x) & static_cast<int32_t>(0x80000000U)));
}

// (e^r - 1 - r) / r^2 for |r| <= ln(2) / 2.
inline float ExpTail(float r) {
  float p = 1.381455804e-03F;
  p = p * r + 8.368736133e-03F;
  p = p * r + 4.166838899e-02F;
  p = p * r + 1.666652113e-01F;
  return p * r + 4.999999404e-01F;
}

// e^x = 2^n e^r, n whole. The two factors 2^n is cut into keep subnormal results.
inline float ExpOf(float x) {
  constexpr float kRound = 12582912.0F;  // 1.5 * 2^23: the sum's low bits are the integer.
  float v = Select(x < -104.0F, -104.0F, x);
  v = Select(v > 89.0F, 89.0F, v);
  const float shifted = v * 1.44269504F + kRound;
  const float n = shifted - kRound;
  const float r = (v - n * 0.693359375F) - n * -2.12194440e-4F;
  const int32_t whole = BitsFrom(shifted) - BitsFrom(kRound);
  const int32_t half = whole >> 1;
  const float scale_a = FloatFrom((half + 127) << 23);
  const float scale_b = FloatFrom((whole - half + 127) << 23);
  return ((r * r * ExpTail(r) + r) + 1.0F) * scale_a * scale_b;
}

// e^x - 1 for x <= 0; what it gives for x > 0 is not used.
inline float Expm1Of(float x) {
  const float small = x * x * ExpTail(x) + x;
  return Select(x > -0.34F, small, ExpOf(x) - 1.0F);
}

inline float SigmoidOf(float x) { return 1.0F / (1.0F + ExpOf(-x)); }

inline float TanhOf(float x) {
  const float t = x * x;
  float p = -5.648307502e-03F;
  p = p * t + 2.058981732e-02F;
  p = p * t + -5.372512341e-02F;
  p = p * t + 1.333127469e-01F;
  p = p * t + -3.333327472e-01F;
  const float small = x + x * t * p;
  const float large = 1.0F - 2.0F / (ExpOf(2.0F * Magnitude(x)) + 1.0F);
  return Select(Magnitude(x) < 0.625F, small, WithSignOf(large, x));
}

// ln(1 + u) for 0 <= u <= 1: 2 artanh(u / (2 + u)).
inline float Log1pOf(float u) {
  const float s = u / (2.0F + u);
  const float t = s * s;
  float p = 2.430097759e-01F;
  p = p * t + 2.142764479e-01F;
  p = p * t + 2.861688733e-01F;
  p = p * t + 3.999887705e-01F;
  p = p * t + 6.666667461e-01F;
  return s * t * p + 2.0F * s;
}

// x = 2^n m with m from sqrt(1/2) to sqrt(2).
inline float LogOf(float x) {
  const bool is_subnormal = x < 1.17549435e-38F;
  const float v = Select(is_subnormal, x * 8388608.0F, x);
  const int32_t bits = BitsFrom(v) - 0x3F3504F3;
  const int32_t n = bits >> 23;
  const float m = FloatFrom((bits & 0x007FFFFF) + 0x3F3504F3);
  const float whole = static_cast<float>(n) - Select(is_subnormal, 23.0F, 0.0F);
  const float f = m - 1.0F;
  const float s = f / (2.0F + f);
  const float t = s * s;
  float p = 2.358279973e-01F;
  p = p * t + 2.853727639e-01F;
  p = p * t + 4.000033438e-01F;
  p = p * t + 6.666666269e-01F;
  // ln m = f - (f^2 / 2 - s (f^2 / 2 + t p)): the largest term is exact.
  const float square = 0.5F * f * f;
  const float log_m = f - (square - s * (square + t * p));
  float y = (log_m + whole * -2.12194440e-4F) + whole * 0.693359375F;
  constexpr float kInfinity = __builtin_inff();
  y = Select(x == 0.0F, -kInfinity, y);
  y = Select(x == kInfinity, kInfinity, y);
  return Select(x >= 0.0F, y, __builtin_nanf(""));
}

// erfc(z) for z >= 0: exp(-z^2) / (1 + 2z) times a polynomial in (z - 3) / (z + 3), the
// form of Shepherd and Laframboise (Mathematics of Computation 36, 1981).
inline float UpperErfc(float z) {
  const float v = Select(z > 10.5F, 10.5F, z);
  const float t = (v - 3.0F) / (v + 3.0F);
  float p = -2.643585321e-04F;
  p = p * t + -7.678705151e-04F;
  p = p * t + 2.007697709e-03F;
  p = p * t + 2.563949442e-03F;
  p = p * t + -2.380151674e-02F;
  p = p * t + 6.829577684e-02F;
  p = p * t + -1.192702428e-01F;
  p = p * t + 1.296464801e-01F;
  p = p * t + -4.756244272e-02F;
  p = p * t + -1.356211454e-01F;
  p = p * t + 1.253008008e+00F;
  // exp(-z^2) = exp(-h^2) exp(-(z - h)(z + h)), h being z to 12 bits, whose square is exact.
  const float h = FloatFrom(BitsFrom(v) & static_cast<int32_t>(0xFFFFF000U));
  const float d = (h - v) * (v + h);
  return ExpOf(-h * h) * ((d * d * ExpTail(d) + d) + 1.0F) * p / (1.0F + 2.0F * v);
}

// erf(x) for |x| < 0.92.
inline float InnerErf(float x) {
  const float t = x * x;
  float p = 8.369576244e-05F;
  p = p * t + -8.142580627e-04F;
  p = p * t + 5.201021209e-03F;
  p = p * t + -2.685939334e-02F;
  p = p * t + 1.128369570e-01F;
  p = p * t + -3.761263490e-01F;
  return x * (p * t + 1.128379226e+00F);
}

inline float ErfOf(float x) {
  const float large = WithSignOf(1.0F - UpperErfc(Magnitude(x)), x);
  return Select(Magnitude(x) < 0.92F, InnerErf(x), large);
}

inline float ErfcOf(float x) {
  const float upper = UpperErfc(Magnitude(x));
  const float outer = Select(x < 0.0F, 2.0F - upper, upper);
  return Select(Magnitude(x) < 0.5F, 1.0F - InnerErf(x), outer);
}

inline double ExpOf(double x) { return __builtin_exp(x); }
inline double Expm1Of(double x) { return __builtin_expm1(x); }
inline double SigmoidOf(double x) { return 1.0 / (1.0 + __builtin_exp(-x)); }
inline double TanhOf(double x) { return __builtin_tanh(x); }
inline double Log1pOf(double x) { return __builtin_log1p(x); }
inline double LogOf(double x) { return __builtin_log(x); }
inline double ErfOf(double x) { return __builtin_erf(x); }
inline double ErfcOf(double x) { return __builtin_erfc(x); }

}  // namespace
}  // namespace wsi::cpu::WSI_ISA
