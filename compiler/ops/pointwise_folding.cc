#include "compiler/ops/pointwise_folding.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace wsi {
namespace {

struct Operands {
  Shape shape;
  Tensor a;
  Tensor b;
};

Result<Operands> Broadcast(std::span<const Tensor* const> inputs) {
  const Tensor& a = Constant(inputs, 0);
  const Tensor& b = Constant(inputs, 1);
  Operands operands;
  WSI_ASSIGN_OR_RETURN(operands.shape, BroadcastShapes(a.shape(), b.shape()));
  WSI_ASSIGN_OR_RETURN(operands.a, Stretch(a, operands.shape));
  WSI_ASSIGN_OR_RETURN(operands.b, Stretch(b, operands.shape));
  return operands;
}

// With double(double, double) for floats and Result<int64_t>(int64_t, int64_t) for integers.
template <typename FloatFunction, typename IntFunction>
Result<Tensor> Combine(std::span<const Tensor* const> inputs, FloatFunction on_floats,
                       IntFunction on_ints) {
  WSI_ASSIGN_OR_RETURN(const Operands operands, Broadcast(inputs));
  const DType dtype = operands.a.dtype();
  if (IsFloat(dtype)) {
    std::vector<double> a = operands.a.ToDoubles();
    const std::vector<double> b = operands.b.ToDoubles();
    for (size_t i = 0; i < a.size(); ++i) a[i] = on_floats(a[i], b[i]);
    return TensorFromDoubles(dtype, operands.shape, a);
  }
  WSI_ASSIGN_OR_RETURN(std::vector<int64_t> a, IntsOf(operands.a));
  WSI_ASSIGN_OR_RETURN(const std::vector<int64_t> b, IntsOf(operands.b));
  for (size_t i = 0; i < a.size(); ++i) {
    WSI_ASSIGN_OR_RETURN(a[i], on_ints(a[i], b[i]));
  }
  return TensorFromInts(dtype, operands.shape, a);
}

// With bool(x, y) on doubles and on integers.
template <typename Predicate>
Result<Tensor> Compare(std::span<const Tensor* const> inputs, Predicate holds) {
  WSI_ASSIGN_OR_RETURN(const Operands operands, Broadcast(inputs));
  std::vector<int64_t> truth(static_cast<size_t>(operands.shape.ElementCount()));
  const auto fill = [&](const auto& a, const auto& b) {
    for (size_t i = 0; i < truth.size(); ++i) truth[i] = holds(a[i], b[i]) ? 1 : 0;
  };
  if (IsFloat(operands.a.dtype())) {
    fill(operands.a.ToDoubles(), operands.b.ToDoubles());
  } else {
    WSI_ASSIGN_OR_RETURN(const std::vector<int64_t> a, IntsOf(operands.a));
    WSI_ASSIGN_OR_RETURN(const std::vector<int64_t> b, IntsOf(operands.b));
    fill(a, b);
  }
  return TensorFromInts(DType::kBool, operands.shape, truth);
}

Status DividesByZero() { return InvalidInput("divides an integer constant by zero"); }

Result<int64_t> DivideInts(int64_t a, int64_t b) {
  if (b == 0) return DividesByZero();
  if (b == -1) return CheckedMul(a, -1);  // The lowest integer / -1 overflows.
  return a / b;
}

Result<int64_t> ModInts(int64_t a, int64_t b, bool sign_of_dividend) {
  if (b == 0) return DividesByZero();
  if (b == -1) return int64_t{0};
  const int64_t rest = a % b;
  return !sign_of_dividend && rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}

Result<int64_t> PowInts(int64_t base, int64_t exponent) {
  if (base == 1 || exponent == 0) return int64_t{1};
  if (base == -1) return int64_t{exponent % 2 == 0 ? 1 : -1};
  if (exponent < 0) {
    return InvalidInput(fmt::format("{} to the power of {} is no integer", base, exponent));
  }
  if (base == 0) return int64_t{0};
  int64_t power = 1;  // Overflows within 63 steps.
  for (int64_t i = 0; i < exponent; ++i) {
    WSI_ASSIGN_OR_RETURN(power, CheckedMul(power, base));
  }
  return power;
}

// NaN wins.
double Larger(double a, double b) {
  if (std::isnan(a) || std::isnan(b)) return std::numeric_limits<double>::quiet_NaN();
  return a > b ? a : b;
}

double Smaller(double a, double b) {
  if (std::isnan(a) || std::isnan(b)) return std::numeric_limits<double>::quiet_NaN();
  return a < b ? a : b;
}

}  // namespace

FoldedTensors FoldAdd(const OpView& /*op*/, std::span<const Tensor* const> inputs) {
  return OneTensor(Combine(
      inputs, [](double a, double b) { return a + b; }, CheckedAdd));
}

FoldedTensors FoldSub(const OpView& /*op*/, std::span<const Tensor* const> inputs) {
  const auto subtract = [](int64_t a, int64_t b) -> Result<int64_t> {
    int64_t difference = 0;
    if (__builtin_sub_overflow(a, b, &difference)) {
      return InvalidInput(fmt::format("constant overflows 64 bits: {} - {}", a, b));
    }
    return difference;
  };
  return OneTensor(Combine(
      inputs, [](double a, double b) { return a - b; }, subtract));
}

FoldedTensors FoldMul(const OpView& /*op*/, std::span<const Tensor* const> inputs) {
  return OneTensor(Combine(
      inputs, [](double a, double b) { return a * b; }, CheckedMul));
}

FoldedTensors FoldDiv(const OpView& /*op*/, std::span<const Tensor* const> inputs) {
  return OneTensor(Combine(
      inputs, [](double a, double b) { return a / b; }, DivideInts));
}

FoldedTensors FoldMod(const OpView& op, std::span<const Tensor* const> inputs) {
  const bool fmod = op.attributes().Int("fmod", 0) == 1;
  return OneTensor(Combine(
      inputs, [](double a, double b) { return std::fmod(a, b); },
      [&](int64_t a, int64_t b) { return ModInts(a, b, fmod); }));
}

FoldedTensors FoldPow(const OpView& /*op*/, std::span<const Tensor* const> inputs) {
  return OneTensor(Combine(
      inputs, [](double a, double b) { return std::pow(a, b); }, PowInts));
}

FoldedTensors FoldMax(const OpView& /*op*/, std::span<const Tensor* const> inputs) {
  return OneTensor(Combine(inputs, Larger,
                           [](int64_t a, int64_t b) -> Result<int64_t> { return a > b ? a : b; }));
}

FoldedTensors FoldMin(const OpView& /*op*/, std::span<const Tensor* const> inputs) {
  return OneTensor(Combine(inputs, Smaller,
                           [](int64_t a, int64_t b) -> Result<int64_t> { return a < b ? a : b; }));
}

FoldedTensors FoldEqual(const OpView& /*op*/, std::span<const Tensor* const> inputs) {
  return OneTensor(Compare(inputs, [](auto a, auto b) { return a == b; }));
}

FoldedTensors FoldGreater(const OpView& /*op*/, std::span<const Tensor* const> inputs) {
  return OneTensor(Compare(inputs, [](auto a, auto b) { return a > b; }));
}

FoldedTensors FoldLess(const OpView& /*op*/, std::span<const Tensor* const> inputs) {
  return OneTensor(Compare(inputs, [](auto a, auto b) { return a < b; }));
}

FoldedTensors FoldAnd(const OpView& /*op*/, std::span<const Tensor* const> inputs) {
  return OneTensor(Compare(inputs, [](auto a, auto b) { return a != 0 && b != 0; }));
}

FoldedTensors FoldOr(const OpView& /*op*/, std::span<const Tensor* const> inputs) {
  return OneTensor(Compare(inputs, [](auto a, auto b) { return a != 0 || b != 0; }));
}

FoldedTensors FoldWhere(const OpView& /*op*/, std::span<const Tensor* const> inputs) {
  const Tensor& a = Constant(inputs, 1);
  const Tensor& b = Constant(inputs, 2);
  WSI_ASSIGN_OR_RETURN(Shape shape, BroadcastShapes(a.shape(), b.shape()));
  WSI_ASSIGN_OR_RETURN(shape, BroadcastShapes(Constant(inputs, 0).shape(), shape));
  WSI_ASSIGN_OR_RETURN(const Tensor condition, Stretch(Constant(inputs, 0), shape));
  WSI_ASSIGN_OR_RETURN(const Tensor from, Stretch(a, shape));
  WSI_ASSIGN_OR_RETURN(Tensor result, Stretch(b, shape));
  const auto width = static_cast<size_t>(DTypeBytes(result.dtype()));
  const std::span<const bool> chosen = condition.data<bool>();
  for (size_t i = 0; i < chosen.size(); ++i) {
    if (!chosen[i]) continue;
    const auto element = from.bytes().subspan(i * width, width);
    std::copy(element.begin(), element.end(),
              result.bytes().begin() + static_cast<ptrdiff_t>(i * width));
  }
  return OneTensor(std::move(result));
}

}  // namespace wsi
