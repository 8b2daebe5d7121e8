// Functions of two or three tensors, element by element, broadcast as numpy does.
#include <cmath>
#include <type_traits>
#include <utility>

#include "runtime/backends/reference/element_types.h"
#include "runtime/backends/reference/kernels.h"
#include "runtime/backends/reference/launch_check.h"
#include "runtime/backends/reference/pointwise_functions.h"
#include "runtime/backends/reference/walk.h"

namespace wsi::reference {
namespace {

// Walks over the result with N - 1 inputs and the result.
template <size_t N>
Result<Walk<N>> BroadcastWalk(LaunchCheck& check) {
  Shape result;
  for (size_t i = 0; i + 1 < N; ++i) {
    WSI_ASSIGN_OR_RETURN(result, BroadcastShapes(result, check.input(i)));
  }
  check.OutputIs(0, result);
  WSI_RETURN_IF_ERROR(check.status());
  Walk<N> walk;
  walk.rank = result.rank();
  walk.sizes = Sizes(result);
  for (size_t i = 0; i + 1 < N; ++i) walk.strides[i] = Broadcast(check.input(i), result);
  walk.strides[N - 1] = RowMajor(result);
  return walk;
}

template <typename T, typename R, typename F>
KernelResult Pairwise(const Walk<3>& walk, F f) {
  return MakeKernel([walk, f](const LaunchArguments& arguments) {
    const T* a = arguments.input<T>(0);
    const T* b = arguments.input<T>(1);
    R* y = arguments.output<R>(0);
    ForEach(walk, [&](const std::array<int64_t, 3>& at) {
      y[at[2]] = static_cast<R>(f(a[at[0]], b[at[1]]));
    });
  });
}

// Integers wrap around.
template <typename T, typename F>
T Wrapped(T a, T b, F f) {
  if constexpr (std::is_integral_v<T>) {
    return static_cast<T>(f(static_cast<uint64_t>(a), static_cast<uint64_t>(b)));
  } else {
    return f(a, b);
  }
}

// Integers go towards zero; a division by 0 gives 0, and the lowest number over -1 wraps.
template <typename T>
KernelResult QuotientKernel(const Walk<3>& walk) {
  return Pairwise<T, T>(walk, [](T a, T b) -> T {
    if constexpr (std::is_floating_point_v<T>) {
      return a / b;
    } else {
      if (b == 0) return 0;
      if (std::cmp_equal(b, -1)) return Wrapped(T{0}, a, [](auto p, auto q) { return p - q; });
      return static_cast<T>(a / b);
    }
  });
}

template <typename T>
KernelResult ModuloKernel(LaunchCheck& check, const Walk<3>& walk) {
  const bool fmod = check.Flag("fmod");
  return Pairwise<T, T>(walk, [fmod](T a, T b) { return Modulo(a, b, fmod); });
}

template <typename T>
KernelResult Arithmetic(std::string_view op, const Walk<3>& walk) {
  const auto plus = [](auto a, auto b) { return a + b; };
  const auto minus = [](auto a, auto b) { return a - b; };
  const auto times = [](auto a, auto b) { return a * b; };
  if (op == "Add") return Pairwise<T, T>(walk, [=](T a, T b) { return Wrapped(a, b, plus); });
  if (op == "Sub") return Pairwise<T, T>(walk, [=](T a, T b) { return Wrapped(a, b, minus); });
  if (op == "Mul") return Pairwise<T, T>(walk, [=](T a, T b) { return Wrapped(a, b, times); });
  if (op == "Max") return Pairwise<T, T>(walk, [](T a, T b) { return Larger(a, b); });
  WSI_CHECK(op == "Min");
  return Pairwise<T, T>(walk, [](T a, T b) { return Smaller(a, b); });
}

template <typename T>
KernelResult Comparison(std::string_view op, const Walk<3>& walk) {
  if (op == "Equal") return Pairwise<T, uint8_t>(walk, [](T a, T b) { return a == b; });
  if (op == "Less") return Pairwise<T, uint8_t>(walk, [](T a, T b) { return a < b; });
  WSI_CHECK(op == "Greater");
  return Pairwise<T, uint8_t>(walk, [](T a, T b) { return a > b; });
}

template <typename T>
KernelResult Select(const Walk<4>& walk) {
  return MakeKernel([walk](const LaunchArguments& arguments) {
    const auto* condition = arguments.input<uint8_t>(0);
    const T* a = arguments.input<T>(1);
    const T* b = arguments.input<T>(2);
    T* y = arguments.output<T>(0);
    ForEach(walk, [&](const std::array<int64_t, 4>& at) {
      y[at[3]] = condition[at[0]] != 0 ? a[at[1]] : b[at[2]];
    });
  });
}

}  // namespace

KernelResult CompileArithmetic(const LaunchSpec& launch) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("**", "*"));
  const DType dtype = check.input_type(0);
  check.InputIs(1, dtype);
  check.OutputIs(0, dtype);
  WSI_ASSIGN_OR_RETURN(const Walk<3> walk, BroadcastWalk<3>(check));
  check.Require(dtype != DType::kBool, "has no kernel for bool");
  check.Require(launch.op != "Pow" || dtype == DType::kF64, "Pow is of floats");
  WSI_RETURN_IF_ERROR(check.status());
  if (launch.op == "Pow") {
    return Pairwise<double, double>(walk, [](double a, double b) { return std::pow(a, b); });
  }
  return ForElementType(check, dtype, [&]<typename T>(std::type_identity<T>) {
    if (launch.op == "Div") return QuotientKernel<T>(walk);
    return launch.op == "Mod" ? ModuloKernel<T>(check, walk) : Arithmetic<T>(launch.op, walk);
  });
}

KernelResult CompileComparison(const LaunchSpec& launch) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("**", "B"));
  const DType dtype = check.input_type(0);
  check.InputIs(1, dtype);
  WSI_ASSIGN_OR_RETURN(const Walk<3> walk, BroadcastWalk<3>(check));
  return ForElementType(check, dtype, [&]<typename T>(std::type_identity<T>) {
    return Comparison<T>(launch.op, walk);
  });
}

KernelResult CompileLogical(const LaunchSpec& launch) {
  LaunchCheck check(launch);
  const bool binary = launch.op != "Not";
  WSI_RETURN_IF_ERROR(check.Operands(binary ? "BB" : "B", "B"));
  if (!binary) {
    check.OutputIs(0, check.input(0));
    WSI_RETURN_IF_ERROR(check.status());
    return MakeKernel([count = check.input(0).ElementCount()](const LaunchArguments& arguments) {
      for (int64_t i = 0; i < count; ++i) {
        arguments.output<uint8_t>(0)[i] = arguments.input<uint8_t>(0)[i] == 0 ? 1 : 0;
      }
    });
  }
  WSI_ASSIGN_OR_RETURN(const Walk<3> walk, BroadcastWalk<3>(check));
  if (launch.op == "And") {
    return Pairwise<uint8_t, uint8_t>(walk, [](int a, int b) { return a != 0 && b != 0; });
  }
  return Pairwise<uint8_t, uint8_t>(walk, [](int a, int b) { return a != 0 || b != 0; });
}

KernelResult CompileWhere(const LaunchSpec& launch) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("B**", "*"));
  const DType dtype = check.input_type(1);
  check.InputIs(2, dtype);
  check.OutputIs(0, dtype);
  WSI_ASSIGN_OR_RETURN(const Walk<4> walk, BroadcastWalk<4>(check));
  switch (DTypeBytes(dtype)) {
    case 8: return Select<uint64_t>(walk);
    case 4: return Select<uint32_t>(walk);
    case 2: return Select<uint16_t>(walk);
    default: return Select<uint8_t>(walk);
  }
}

}  // namespace wsi::reference
