// Running sums, extremes' positions and the largest elements along one axis: a thread a
// line, in the line's order.
#include <vector>

#include "runtime/backends/cuda/kernels.h"
#include "runtime/backends/cuda/lines.cuh"

namespace wsi::cuda {
namespace {

Shape WithAxis(const Shape& shape, int axis, int64_t size) {
  std::vector<int64_t> sizes(shape.begin(), shape.end());
  sizes[static_cast<size_t>(axis)] = size;
  return Shape::Make(sizes).value();
}

// Whether a comes before b where larger ones do; NaN is larger than any number.
template <typename C>
__device__ bool Above(C a, C b, bool largest) {
  if (!largest) {
    const C c = a;
    a = b;
    b = c;
  }
  return b == b && (a != a || a > b);
}

template <typename T>
__global__ void ArgExtremeKernel(Rows rows, bool largest, bool last, const T* x, int64_t* y) {
  const int64_t stride = rows.inner_count;
  for (int64_t r = FirstItem(); r < rows.outer_count * stride; r += ItemStride()) {
    const T* line = x + StartOf(rows, r);
    int64_t best = 0;
    Computed<T> extreme = Load(line[0]);
    for (int64_t j = 1; j < rows.length; ++j) {
      const Computed<T> v = Load(line[j * stride]);
      if (Above(v, extreme, largest) || (last && !Above(extreme, v, largest))) {
        best = j;
        extreme = v;
      }
    }
    y[r] = best;
  }
}

// Halves and fp32 are summed in fp64, rounded when stored; integers wrap.
template <typename T>
__global__ void CumSumKernel(Rows rows, bool exclusive, bool reverse, const T* x, T* y) {
  using Sum = std::conditional_t<std::is_integral_v<T>, std::make_unsigned<T>,
                                 std::type_identity<double>>::type;
  const int64_t stride = rows.inner_count;
  for (int64_t r = FirstItem(); r < rows.outer_count * stride; r += ItemStride()) {
    const int64_t start = StartOf(rows, r);
    Sum sum{0};
    for (int64_t j = 0; j < rows.length; ++j) {
      const int64_t at = start + (reverse ? rows.length - 1 - j : j) * stride;
      const Sum before = sum;
      sum = static_cast<Sum>(sum + static_cast<Sum>(Load(x[at])));
      Store(exclusive ? before : sum, y[at]);
    }
  }
}

// The j-th is the first, in order, of those behind the (j - 1)-th.
template <typename T>
__global__ void TopKKernel(Rows rows, int64_t k, bool largest, const T* x, T* y, int64_t* indices) {
  using C = Computed<T>;
  const int64_t stride = rows.inner_count;
  for (int64_t r = FirstItem(); r < rows.outer_count * stride; r += ItemStride()) {
    const T* line = x + StartOf(rows, r);
    const int64_t to = r / stride * k * stride + r % stride;
    int64_t previous = -1;
    for (int64_t j = 0; j < k; ++j) {
      int64_t best = -1;
      for (int64_t i = 0; i < rows.length; ++i) {
        const C v = Load(line[i * stride]);
        if (previous >= 0) {
          const C taken = Load(line[previous * stride]);
          const bool behind =
              Above(taken, v, largest) || (!Above(v, taken, largest) && i > previous);
          if (!behind) continue;
        }
        if (best < 0 || Above(v, static_cast<C>(Load(line[best * stride])), largest)) best = i;
      }
      y[to + j * stride] = line[best * stride];
      if (indices != nullptr) indices[to + j * stride] = best;
      previous = best;
    }
  }
}

}  // namespace

KernelResult CompileArgExtreme(const LaunchSpec& launch, Context& context) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("*", "L"));
  const int axis = check.Axis("axis", check.input(0).rank());
  const bool last = check.Flag("select_last_index");
  WSI_RETURN_IF_ERROR(check.status());
  const Rows rows = RowsAlong(check.input(0), axis);
  const int64_t lines = rows.outer_count * rows.inner_count;
  check.Require(rows.length > 0 && check.output(0).ElementCount() == lines,
                "gives one position for each line along the axis");
  WSI_RETURN_IF_ERROR(check.status());
  const bool largest = launch.op == "ArgMax";
  return ForElement(launch, check.input_type(0), [&]<typename T>(std::type_identity<T>) {
    return MakeKernel([=, &context](const LaunchArguments& a) {
      ArgExtremeKernel<T><<<GridFor(lines), kThreads, 0, context.stream>>>(
          rows, largest, last, a.input<T>(0), a.output<int64_t>(0));
      return LaunchStatus();
    });
  });
}

KernelResult CompileCumSum(const LaunchSpec& launch, Context& context) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("*", "*"));
  const int axis = check.Axis("axis", check.input(0).rank());
  const bool exclusive = check.Flag("exclusive");
  const bool reverse = check.Flag("reverse");
  check.OutputIs(0, check.input(0));
  check.OutputIs(0, check.input_type(0));
  WSI_RETURN_IF_ERROR(check.status());
  const Rows rows = RowsAlong(check.input(0), axis);
  return ForElement(launch, check.input_type(0), [&]<typename T>(std::type_identity<T>) {
    return MakeKernel([=, &context](const LaunchArguments& a) {
      const int64_t lines = rows.outer_count * rows.inner_count;
      CumSumKernel<T><<<GridFor(lines), kThreads, 0, context.stream>>>(
          rows, exclusive, reverse, a.input<T>(0), a.output<T>(0));
      return LaunchStatus();
    });
  });
}

KernelResult CompileTopK(const LaunchSpec& launch, Context& context) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("*", "*l"));
  const Shape& x_shape = check.input(0);
  const int axis = check.Axis("axis", x_shape.rank());
  WSI_RETURN_IF_ERROR(check.status());
  const int64_t k = check.Int("k", 0, x_shape[axis], 0);
  const bool largest = check.Int("largest", 0, 1, 1) == 1;
  check.OutputIs(0, WithAxis(x_shape, axis, k));
  check.OutputIs(0, check.input_type(0));
  check.OutputIs(1, WithAxis(x_shape, axis, k));
  WSI_RETURN_IF_ERROR(check.status());
  const Rows rows = RowsAlong(x_shape, axis);
  return ForElement(launch, check.input_type(0), [&]<typename T>(std::type_identity<T>) {
    return MakeKernel([=, &context](const LaunchArguments& a) {
      const int64_t lines = rows.outer_count * rows.inner_count;
      TopKKernel<T><<<GridFor(lines), kThreads, 0, context.stream>>>(
          rows, k, largest, a.input<T>(0), a.output<T>(0), a.output<int64_t>(1));
      return LaunchStatus();
    });
  });
}

}  // namespace wsi::cuda
