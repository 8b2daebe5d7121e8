// Kernels that are one template over the type of an element.
#pragma once

#include <cstdint>
#include <type_traits>

#include "runtime/backends/reference/kernel_table.h"
#include "runtime/backends/reference/launch_check.h"

namespace wsi::reference {

// f(std::type_identity<T>{}) for the C++ type of `dtype`; bool is uint8_t, 0 or 1.
template <typename F>
KernelResult ForElementType(LaunchCheck& check, DType dtype, const F& f) {
  switch (dtype) {
    case DType::kF64: return f(std::type_identity<double>{});
    case DType::kI64: return f(std::type_identity<int64_t>{});
    case DType::kI32: return f(std::type_identity<int32_t>{});
    case DType::kI16: return f(std::type_identity<int16_t>{});
    case DType::kI8: return f(std::type_identity<int8_t>{});
    case DType::kU64: return f(std::type_identity<uint64_t>{});
    case DType::kU32: return f(std::type_identity<uint32_t>{});
    case DType::kU16: return f(std::type_identity<uint16_t>{});
    case DType::kU8:
    case DType::kBool: return f(std::type_identity<uint8_t>{});
    default: break;
  }
  check.Require(false, std::string("has no kernel for ") + std::string(DTypeName(dtype)));
  return check.status();
}

// Integers wrap around.
template <typename T>
T Sum(T a, T b) {
  if constexpr (std::is_integral_v<T>) {
    return static_cast<T>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
  } else {
    return a + b;
  }
}
template <typename T>
T Product(T a, T b) {
  if constexpr (std::is_integral_v<T>) {
    return static_cast<T>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b));
  } else {
    return a * b;
  }
}
// NaN, equal to nothing, wins.
template <typename T>
T Larger(T a, T b) {
  return a != a || a > b ? a : b;
}
template <typename T>
T Smaller(T a, T b) {
  return a != a || a < b ? a : b;
}

}  // namespace wsi::reference
