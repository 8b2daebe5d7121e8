#include "runtime/backends/cpu/fold_axes.h"

#include <limits>
#include <vector>

#include "runtime/backends/cpu/element_types.h"

namespace wsi::cpu {
namespace {

// Where the terms of results lie: offsets of kept axes, then of reduced ones.
class Terms {
 public:
  struct Axis {
    int64_t size = 1;
    int64_t stride = 1;
  };

  static Result<Terms> Make(const LaunchSpec& launch) {
    const Shape& x = launch.inputs[0].shape;
    std::vector<bool> reduce(static_cast<size_t>(x.rank()), false);
    for (const int64_t value : launch.attributes.Ints("axes")) {
      WSI_ASSIGN_OR_RETURN(const int axis, NormalizeAxis(value, x.rank()));
      reduce[static_cast<size_t>(axis)] = true;
    }
    Terms terms;
    int64_t stride = 1;
    for (int axis = x.rank() - 1; axis >= 0; --axis) {
      const bool reduced = reduce[static_cast<size_t>(axis)];
      (reduced ? terms.reduced_ : terms.kept_).push_back({x[axis], stride});
      (reduced ? terms.per_result : terms.results) *= x[axis];
      stride *= x[axis];
    }
    if (launch.outputs[0].shape.ElementCount() != terms.results) {
      return CompileError(launch, "output does not have the sizes of the axes that are kept");
    }
    return terms;
  }

  int64_t First(int64_t result) const { return Offset(kept_, result); }
  int64_t Term(int64_t term) const { return Offset(reduced_, term); }

  int64_t results = 1;
  int64_t per_result = 1;

 private:
  static int64_t Offset(const std::vector<Axis>& axes, int64_t index) {
    int64_t offset = 0;
    for (const Axis& axis : axes) {  // Innermost first.
      offset += index % axis.size * axis.stride;
      index /= axis.size;
    }
    return offset;
  }

  std::vector<Axis> kept_;
  std::vector<Axis> reduced_;
};

// y = finish(combine of start and all terms), carried in A.
template <typename T, typename Y, typename A, typename Combine, typename Finish>
KernelResult Fold(const Terms& terms, Context& context, A start, Combine combine, Finish finish) {
  const Chunks chunks = ChunksOf(terms.results, terms.per_result, kGrain);
  return MakeKernel([=, &context](const LaunchArguments& a) {
    ForChunks(context.pool, chunks, [&](int64_t begin, int64_t end, int64_t, int) {
      for (int64_t r = begin; r < end; ++r) {
        const T* x = a.input<T>(0) + terms.First(r);
        A value = start;
        for (int64_t t = 0; t < terms.per_result; ++t) {
          value = combine(value, static_cast<A>(x[terms.Term(t)]));
        }
        a.output<Y>(0)[r] = static_cast<Y>(finish(value));
      }
    });
  });
}

template <typename T, typename Y>
KernelResult FoldOf(const LaunchSpec& launch, const Terms& terms, Context& context) {
  using Sum = SumOf<T>;
  using Extreme = std::conditional_t<kIsHalf<T>, float, T>;
  using Limits = std::numeric_limits<Extreme>;
  const auto as_is = [](auto value) { return value; };
  const bool is_bool = launch.inputs[0].dtype == DType::kBool;
  if (launch.op == "ReduceSum") {
    return Fold<T, Y>(terms, context, Sum{0}, WrappingAdd<Sum>, as_is);
  }
  if (launch.op == "ReduceProd") {
    return Fold<T, Y>(terms, context, Sum{1}, WrappingMul<Sum>, as_is);
  }
  if (launch.op == "ReduceMean") {
    const auto count = static_cast<double>(terms.per_result);
    const auto divide = [count](Sum sum) { return static_cast<double>(sum) / count; };
    return Fold<T, Y>(terms, context, Sum{0}, WrappingAdd<Sum>, divide);
  }
  if (launch.op == "ReduceMax") {
    const Extreme lowest = Limits::has_infinity ? -Limits::infinity() : Limits::lowest();
    return Fold<T, Y>(terms, context, lowest, Larger<Extreme>, as_is);
  }
  Extreme highest = Limits::has_infinity ? Limits::infinity() : Limits::max();
  if (is_bool) highest = Extreme{1};
  return Fold<T, Y>(terms, context, highest, Smaller<Extreme>, as_is);
}

}  // namespace

KernelResult CompileFoldAxes(const LaunchSpec& launch, Context& context) {
  WSI_RETURN_IF_ERROR(ExpectOperands(launch, 1, 1, 1, 1));
  const DType dtype = launch.inputs[0].dtype;
  const bool wide = launch.outputs[0].dtype == DType::kF32;  // Of half-precision terms, too.
  const bool half = dtype == DType::kF16 || dtype == DType::kBF16;
  if (!wide || !half) WSI_RETURN_IF_ERROR(ExpectOutput(launch, 0, dtype));
  WSI_ASSIGN_OR_RETURN(const Terms terms, Terms::Make(launch));
  return ForElementType(dtype, [&]<typename T>(std::type_identity<T>) {
    if constexpr (kIsHalf<T>) {
      if (wide) return FoldOf<T, float>(launch, terms, context);
    }
    return FoldOf<T, T>(launch, terms, context);
  });
}

}  // namespace wsi::cpu
