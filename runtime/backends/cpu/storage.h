// Element types that tensors of activations are stored as. fp32 computes on all of
// them: a kernel loads, computes and rounds once when it stores.
//
// The conversions are static, not inline alone, because loops of every instruction set
// use them (isa.h): the linker must not merge them. They are free of branches, so that
// loops over them become vector code.
#pragma once

#include <cstdint>

#include "runtime/base/dtype.h"

namespace wsi::cpu {

struct Half {  // IEEE 754 binary16.
  uint16_t bits = 0;
};
struct BFloat16 {
  uint16_t bits = 0;
};

template <typename T>
constexpr DType StorageType() {
  if constexpr (sizeof(T) == sizeof(double)) {
    return DType::kF64;
  } else if constexpr (sizeof(T) == sizeof(float)) {
    return DType::kF32;
  } else {
    return __is_same(T, Half) ? DType::kF16 : DType::kBF16;
  }
}

// One table of loops for each type.
template <template <typename> typename Table>
struct ByStorage {
  Table<float> f32;
  Table<Half> f16;
  Table<BFloat16> bf16;

  template <typename T>
  constexpr const Table<T>& Of() const {
    if constexpr (sizeof(T) == sizeof(float)) {
      return f32;
    } else if constexpr (__is_same(T, Half)) {
      return f16;
    } else {
      return bf16;
    }
  }
};

[[maybe_unused]] static inline float FloatOf(uint32_t bits) {
  return __builtin_bit_cast(float, bits);
}
[[maybe_unused]] static inline uint32_t BitsOf(float v) { return __builtin_bit_cast(uint32_t, v); }

[[maybe_unused]] static inline float Load(const float& v) { return v; }
[[maybe_unused]] static inline void Store(float v, float& out) { out = v; }

// fp64 is computed in fp64.
[[maybe_unused]] static inline double Load(const double& v) { return v; }
[[maybe_unused]] static inline void Store(double v, double& out) { out = v; }

[[maybe_unused]] static inline float Load(const BFloat16& v) {
  return FloatOf(static_cast<uint32_t>(v.bits) << 16);
}
// To nearest, ties to even; NaN stays NaN.
[[maybe_unused]] static inline void Store(float v, BFloat16& out) {
  const uint32_t bits = BitsOf(v);
  const uint32_t rounded = (bits + 0x7FFFU + ((bits >> 16) & 1U)) >> 16;
  const uint32_t nan = (bits >> 16) | 0x40U;
  out.bits = static_cast<uint16_t>((bits & 0x7FFFFFFFU) > 0x7F800000U ? nan : rounded);
}

// The exponent moves by 112; an exponent of 31 becomes 255. A subnormal is the
// difference of two normal numbers, which is exact.
[[maybe_unused]] static inline float Load(const Half& v) {
  const uint32_t sign = static_cast<uint32_t>(v.bits & 0x8000U) << 16;
  const uint32_t magnitude = static_cast<uint32_t>(v.bits & 0x7FFFU) << 13;
  const uint32_t special = magnitude >= 0x0F800000U ? 112U << 23 : 0U;
  const uint32_t normal = magnitude + (112U << 23) + special;
  const uint32_t small = BitsOf(FloatOf(magnitude + (113U << 23)) - 0x1p-14F);
  return FloatOf(sign | (magnitude < 0x00800000U ? small : normal));
}
[[maybe_unused]] static inline void Store(float v, Half& out) {
  const uint32_t bits = BitsOf(v);
  const uint32_t sign = (bits >> 16) & 0x8000U;
  const uint32_t magnitude = bits & 0x7FFFFFFFU;
  const uint32_t normal = (magnitude + 0xFFFU + ((magnitude >> 13) & 1U) - (112U << 23)) >> 13;
  // Below 2^-14: adding 0.5 rounds at 2^-24.
  const uint32_t small = BitsOf(FloatOf(magnitude) + 0.5F) - 0x3F000000U;
  uint32_t result = magnitude < 0x38800000U ? small : normal;
  result = magnitude >= 0x477FF000U ? 0x7C00U : result;  // From 65520 on.
  result = magnitude > 0x7F800000U ? 0x7E00U : result;
  out.bits = static_cast<uint16_t>(sign | result);
}

// What values of a type are computed in.
template <typename T>
using Computed = decltype(Load(T{}));

}  // namespace wsi::cpu
