#include "runtime/backends/cpu/integer_loops.h"

#include <algorithm>
#include <type_traits>

namespace wsi::cpu {
namespace {

// Two's complement wraps, as numpy's integers do.
template <typename T, typename F>
T Wrap(T a, T b, F f) {
  return static_cast<T>(f(static_cast<uint64_t>(a), static_cast<uint64_t>(b)));
}

template <typename T, T (*kOf)(T)>
void RunUnary(const T* x, int64_t n, T* y) {
  for (int64_t i = 0; i < n; ++i) y[i] = kOf(x[i]);
}
template <typename T, typename Out, Out (*kOf)(T, T)>
void RunBinary(const T* a, int64_t a_stride, const T* b, int64_t b_stride, int64_t n, Out* y) {
  for (int64_t i = 0; i < n; ++i) y[i] = kOf(a[i * a_stride], b[i * b_stride]);
}

template <typename T>
T Add(T a, T b) {
  return Wrap(a, b, [](auto x, auto y) { return x + y; });
}
template <typename T>
T Sub(T a, T b) {
  return Wrap(a, b, [](auto x, auto y) { return x - y; });
}
template <typename T>
T Mul(T a, T b) {
  return Wrap(a, b, [](auto x, auto y) { return x * y; });
}
// Truncates; a division by zero gives 0, and the lowest number over -1 wraps.
template <typename T>
T Div(T a, T b) {
  if (b == 0) return 0;
  if constexpr (std::is_signed_v<T>) {
    if (b == -1) return Sub<T>(0, a);
  }
  return static_cast<T>(a / b);
}
// What is left of Div, with the sign of a; of a division by zero, 0.
template <typename T>
T Fmod(T a, T b) {
  if (b == 0) return 0;
  if constexpr (std::is_signed_v<T>) {
    if (b == -1) return 0;
  }
  return static_cast<T>(a % b);
}
// The same with the sign of b.
template <typename T>
T Mod(T a, T b) {
  const T rest = Fmod(a, b);
  return rest != 0 && (rest < 0) != (b < 0) ? static_cast<T>(rest + b) : rest;
}
template <typename T>
T Max(T a, T b) {
  return a > b ? a : b;
}
template <typename T>
T Min(T a, T b) {
  return a < b ? a : b;
}
template <typename T>
T And(T a, T b) {
  return a != 0 && b != 0 ? 1 : 0;
}
template <typename T>
T Or(T a, T b) {
  return a != 0 || b != 0 ? 1 : 0;
}
template <typename T>
T Not(T a) {
  return a == 0 ? 1 : 0;
}
template <typename T>
T Neg(T a) {
  return Sub<T>(0, a);
}
template <typename T>
T Abs(T a) {
  if constexpr (std::is_signed_v<T>) {
    if (a < 0) return Neg(a);
  }
  return a;
}
template <typename T>
T Relu(T a) {
  return std::max<T>(a, 0);
}
template <typename T>
T Sign(T a) {
  return static_cast<T>((a > 0 ? 1 : 0) - (a < 0 ? 1 : 0));
}
template <typename T>
uint8_t Equal(T a, T b) {
  return a == b ? 1 : 0;
}
template <typename T>
uint8_t Less(T a, T b) {
  return a < b ? 1 : 0;
}
template <typename T>
uint8_t Greater(T a, T b) {
  return a > b ? 1 : 0;
}

}  // namespace

template <typename T>
IntegerUnary<T> FindIntegerUnary(std::string_view op) {
  if constexpr (std::is_signed_v<T>) {
    if (op == "Neg") return RunUnary<T, Neg<T>>;
  }
  if (op == "Abs") return RunUnary<T, Abs<T>>;
  if (op == "Relu") return RunUnary<T, Relu<T>>;
  if (op == "Sign") return RunUnary<T, Sign<T>>;
  if constexpr (std::is_same_v<T, uint8_t>) {
    if (op == "Not") return RunUnary<T, Not<T>>;
  }
  return nullptr;
}
template <typename T>
IntegerBinary<T> FindIntegerBinary(std::string_view op) {
  if (op == "Add") return RunBinary<T, T, Add<T>>;
  if (op == "Sub") return RunBinary<T, T, Sub<T>>;
  if (op == "Mul") return RunBinary<T, T, Mul<T>>;
  if (op == "Div") return RunBinary<T, T, Div<T>>;
  if (op == "Mod") return RunBinary<T, T, Mod<T>>;
  if (op == "Fmod") return RunBinary<T, T, Fmod<T>>;
  if (op == "Max") return RunBinary<T, T, Max<T>>;
  if (op == "Min") return RunBinary<T, T, Min<T>>;
  if constexpr (std::is_same_v<T, uint8_t>) {
    if (op == "And") return RunBinary<T, T, And<T>>;
    if (op == "Or") return RunBinary<T, T, Or<T>>;
  }
  return nullptr;
}
template <typename T>
IntegerCompare<T> FindIntegerCompare(std::string_view op) {
  if (op == "Equal") return RunBinary<T, uint8_t, Equal<T>>;
  if (op == "Less") return RunBinary<T, uint8_t, Less<T>>;
  if (op == "Greater") return RunBinary<T, uint8_t, Greater<T>>;
  return nullptr;
}

#define WSI_INTEGER_LOOPS(T)                                           \
  template IntegerUnary<T> FindIntegerUnary<T>(std::string_view op);   \
  template IntegerBinary<T> FindIntegerBinary<T>(std::string_view op); \
  template IntegerCompare<T> FindIntegerCompare<T>(std::string_view op)
WSI_INTEGER_LOOPS(int64_t);
WSI_INTEGER_LOOPS(int32_t);
WSI_INTEGER_LOOPS(int16_t);
WSI_INTEGER_LOOPS(int8_t);
WSI_INTEGER_LOOPS(uint64_t);
WSI_INTEGER_LOOPS(uint32_t);
WSI_INTEGER_LOOPS(uint16_t);
WSI_INTEGER_LOOPS(uint8_t);
#undef WSI_INTEGER_LOOPS

}  // namespace wsi::cpu
