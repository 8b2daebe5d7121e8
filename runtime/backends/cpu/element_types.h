// Kernels that are one template over the type of an element, for operators that memory
// bounds and not arithmetic.
#pragma once

#include <cstdint>
#include <type_traits>

#include "runtime/backends/cpu/compile.h"
#include "runtime/base/tensor.h"

namespace wsi::cpu {

// 16-bit floats as numbers: fp32 in every expression, rounded when stored.
class HalfNumber {
 public:
  HalfNumber() = default;
  HalfNumber(float value) : bits_(FloatToHalf(value)) {}  // NOLINT(google-explicit-*)
  explicit HalfNumber(double value) : HalfNumber(static_cast<float>(value)) {}
  operator float() const { return HalfToFloat(bits_); }  // NOLINT(google-explicit-*)

 private:
  uint16_t bits_ = 0;
};
class BFloat16Number {
 public:
  BFloat16Number() = default;
  BFloat16Number(float value) : bits_(FloatToBFloat16(value)) {}  // NOLINT(google-explicit-*)
  explicit BFloat16Number(double value) : BFloat16Number(static_cast<float>(value)) {}
  operator float() const { return BFloat16ToFloat(bits_); }  // NOLINT(google-explicit-*)

 private:
  uint16_t bits_ = 0;
};

template <typename T>
inline constexpr bool kIsHalf = std::is_same_v<T, HalfNumber> || std::is_same_v<T, BFloat16Number>;
// Of a floating-point T.
template <typename T>
constexpr DType ElementType() {
  if constexpr (kIsHalf<T>) {
    return std::is_same_v<T, HalfNumber> ? DType::kF16 : DType::kBF16;
  } else {
    return std::is_same_v<T, float> ? DType::kF32 : DType::kF64;
  }
}
template <typename T>
inline constexpr bool kIsFloat = std::is_floating_point_v<T> || kIsHalf<T>;
// What long sums of T are carried in.
template <typename T>
using SumOf = std::conditional_t<kIsFloat<T>, double, T>;

// f(std::type_identity<T>{}) for the C++ type of `dtype`; bool is uint8_t, 0 or 1.
template <typename F>
KernelResult ForElementType(DType dtype, const F& f) {
  switch (dtype) {
    case DType::kF32: return f(std::type_identity<float>{});
    case DType::kF64: return f(std::type_identity<double>{});
    case DType::kF16: return f(std::type_identity<HalfNumber>{});
    case DType::kBF16: return f(std::type_identity<BFloat16Number>{});
    case DType::kI64: return f(std::type_identity<int64_t>{});
    case DType::kI32: return f(std::type_identity<int32_t>{});
    case DType::kI16: return f(std::type_identity<int16_t>{});
    case DType::kI8: return f(std::type_identity<int8_t>{});
    case DType::kU64: return f(std::type_identity<uint64_t>{});
    case DType::kU32: return f(std::type_identity<uint32_t>{});
    case DType::kU16: return f(std::type_identity<uint16_t>{});
    case DType::kU8:
    case DType::kBool: return f(std::type_identity<uint8_t>{});
  }
  return InternalError("a type without a name");
}

// Integers wrap.
template <typename T>
T WrappingAdd(T a, T b) {
  if constexpr (std::is_integral_v<T>) {
    return static_cast<T>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
  } else {
    return a + b;
  }
}
template <typename T>
T WrappingMul(T a, T b) {
  if constexpr (std::is_integral_v<T>) {
    return static_cast<T>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b));
  } else {
    return a * b;
  }
}
// NaN wins.
template <typename T>
T Larger(T a, T b) {
  return a != a || a > b ? a : b;
}
template <typename T>
T Smaller(T a, T b) {
  return a != a || a < b ? a : b;
}

// Element j of line l along an axis lies at Start(l) + j * stride.
struct Lines {
  int64_t count = 0;
  int64_t size = 0;
  int64_t stride = 1;
  int64_t Start(int64_t line) const { return line / stride * stride * size + line % stride; }

  static Lines Along(const Shape& shape, int axis) {
    Lines lines{.size = shape[axis]};
    for (int a = axis + 1; a < shape.rank(); ++a) lines.stride *= shape[a];
    lines.count = shape.ElementCount() == 0 ? 0 : shape.ElementCount() / lines.size;
    return lines;
  }
};

}  // namespace wsi::cpu
