// Conversions between element types, and constants.
#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>
#include <utility>

#include "runtime/backends/reference/kernels.h"
#include "runtime/backends/reference/launch_check.h"

namespace wsi::reference {
namespace {

struct Truth {  // A bool's byte.
  uint8_t byte;
};

// Calls f with a zero of the C++ type of `dtype`. REQUIRES: a type that LaunchCheck lets
// through.
template <typename F>
KernelResult WithType(DType dtype, F f) {
  switch (dtype) {
    case DType::kF64: return f(double{});
    case DType::kI64: return f(int64_t{});
    case DType::kI32: return f(int32_t{});
    case DType::kU8: return f(uint8_t{});
    case DType::kI8: return f(int8_t{});
    case DType::kI16: return f(int16_t{});
    case DType::kU16: return f(uint16_t{});
    case DType::kU32: return f(uint32_t{});
    case DType::kU64: return f(uint64_t{});
    case DType::kBool: return f(Truth{});
    default: CheckFailed(__FILE__, __LINE__, "a type that the reference has");
  }
}

// Integers saturate, floats are cut toward zero, NaN becomes 0.
template <typename To, typename From>
To Convert(From from) {
  if constexpr (std::is_same_v<From, Truth>) {
    return Convert<To>(static_cast<uint8_t>(from.byte != 0 ? 1 : 0));
  } else if constexpr (std::is_same_v<To, Truth>) {
    return Truth{static_cast<uint8_t>(from != 0 ? 1 : 0)};
  } else if constexpr (std::is_floating_point_v<To>) {
    return static_cast<To>(from);
  } else if constexpr (std::is_floating_point_v<From>) {
    using Limits = std::numeric_limits<To>;
    if (std::isnan(from)) return 0;
    if (from >= -static_cast<From>(Limits::min()) && Limits::is_signed) return Limits::max();
    if (!Limits::is_signed && from >= static_cast<From>(Limits::max())) return Limits::max();
    if (from <= static_cast<From>(Limits::min())) return Limits::min();
    return static_cast<To>(from);
  } else {
    using Limits = std::numeric_limits<To>;
    if (std::cmp_less(from, Limits::min())) return Limits::min();
    return std::cmp_greater(from, Limits::max()) ? Limits::max() : static_cast<To>(from);
  }
}

template <typename From, typename To>
KernelResult MakeCast(int64_t count) {
  return MakeKernel([count](const LaunchArguments& arguments) {
    const From* x = arguments.input<From>(0);
    To* y = arguments.output<To>(0);
    for (int64_t i = 0; i < count; ++i) y[i] = Convert<To>(x[i]);
  });
}

}  // namespace

KernelResult CompileCast(const LaunchSpec& launch) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("*", "*"));
  check.OutputIs(0, check.input(0));
  check.Require(check.String("to", "") == DTypeName(check.output_type(0)),
                "attribute to is not the output's type");
  WSI_RETURN_IF_ERROR(check.status());
  const int64_t count = check.input(0).ElementCount();
  return WithType(check.input_type(0), [&](auto from) {
    return WithType(check.output_type(0),
                    [&](auto to) { return MakeCast<decltype(from), decltype(to)>(count); });
  });
}

KernelResult CompileFill(const LaunchSpec& launch) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("", "*"));
  const double value = check.Float("value");
  check.Require(check.String("dtype", "") == DTypeName(check.output_type(0)),
                "attribute dtype is not the output's type");
  const Shape& shape = check.output(0);
  const auto sizes = check.Ints("shape", static_cast<size_t>(shape.rank()), 0,
                                std::numeric_limits<int64_t>::max());
  check.Require(std::equal(sizes.begin(), sizes.end(), shape.begin()),
                "attribute shape is not the output's shape");
  WSI_RETURN_IF_ERROR(check.status());
  return WithType(check.output_type(0), [&](auto zero) {
    using T = decltype(zero);
    return MakeKernel([element = Convert<T>(value),
                       count = shape.ElementCount()](const LaunchArguments& arguments) {
      std::fill_n(arguments.output<T>(0), count, element);
    });
  });
}

}  // namespace wsi::reference
