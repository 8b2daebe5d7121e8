#include "runtime/backends/cpu/along_axis.h"

#include <algorithm>
#include <numeric>

#include "runtime/backends/cpu/element_types.h"

namespace wsi::cpu {
namespace {

Result<int> AxisOf(const LaunchSpec& launch) {
  return NormalizeAxis(launch.attributes.Int("axis", 0), launch.inputs[0].shape.rank());
}

// Whether a comes before b where larger ones do; NaN is larger than any number.
template <typename T>
bool Above(T a, T b) {
  if (b != b) return false;
  return a != a || a > b;
}
template <typename T>
bool Below(T a, T b) {
  return Above(b, a);
}

template <typename T>
KernelResult ArgExtreme(const LaunchSpec& launch, const Lines& lines, Context& context) {
  const bool largest = launch.op == "ArgMax";
  const bool last = launch.attributes.Int("select_last_index", 0) == 1;
  const Chunks chunks = ChunksOf(lines.count, lines.size, kGrain);
  return MakeKernel([=, &context](const LaunchArguments& a) {
    ForChunks(context.pool, chunks, [&](int64_t begin, int64_t end, int64_t, int) {
      for (int64_t l = begin; l < end; ++l) {
        const T* x = a.input<T>(0) + lines.Start(l);
        int64_t best = 0;
        for (int64_t j = 1; j < lines.size; ++j) {
          const T v = x[j * lines.stride];
          const T so_far = x[best * lines.stride];
          const bool wins = largest ? Above(v, so_far) : Below(v, so_far);
          const bool ties = largest ? !Above(so_far, v) : !Below(so_far, v);
          if (wins || (last && ties)) best = j;
        }
        a.output<int64_t>(0)[l] = best;
      }
    });
  });
}

template <typename T>
KernelResult CumSum(const LaunchSpec& launch, const Lines& lines, Context& context) {
  const bool exclusive = launch.attributes.Int("exclusive", 0) == 1;
  const bool reverse = launch.attributes.Int("reverse", 0) == 1;
  const Chunks chunks = ChunksOf(lines.count, lines.size, kGrain);
  return MakeKernel([=, &context](const LaunchArguments& a) {
    ForChunks(context.pool, chunks, [&](int64_t begin, int64_t end, int64_t, int) {
      for (int64_t l = begin; l < end; ++l) {
        const T* x = a.input<T>(0) + lines.Start(l);
        T* y = a.output<T>(0) + lines.Start(l);
        SumOf<T> sum{0};
        for (int64_t j = 0; j < lines.size; ++j) {
          const int64_t at = (reverse ? lines.size - 1 - j : j) * lines.stride;
          const SumOf<T> before = sum;
          sum = WrappingAdd<SumOf<T>>(sum, static_cast<SumOf<T>>(x[at]));
          y[at] = static_cast<T>(exclusive ? before : sum);
        }
      }
    });
  });
}

// Positions along each line are put in order in the worker's scratch.
template <typename T>
KernelResult TopK(const LaunchSpec& launch, const Lines& lines, int64_t k, Context& context) {
  const bool largest = launch.attributes.Int("largest", 1) == 1;
  const Chunks chunks = ChunksOf(lines.count, lines.size * 8, kGrain);
  WSI_RETURN_IF_ERROR(context.scratch.Require(0, lines.size * int64_t{sizeof(int64_t)}));
  return MakeKernel([=, &context](const LaunchArguments& a) {
    ForChunks(context.pool, chunks, [&](int64_t begin, int64_t end, int64_t, int worker) {
      int64_t* order = context.scratch.worker<int64_t>(worker);
      for (int64_t l = begin; l < end; ++l) {
        const T* x = a.input<T>(0) + lines.Start(l);
        std::iota(order, order + lines.size, int64_t{0});
        std::partial_sort(order, order + k, order + lines.size, [&](int64_t i, int64_t j) {
          const T p = x[i * lines.stride];
          const T q = x[j * lines.stride];
          if (largest ? Above(p, q) : Below(p, q)) return true;
          if (largest ? Above(q, p) : Below(q, p)) return false;
          return i < j;
        });
        const int64_t first = l / lines.stride * lines.stride * k + l % lines.stride;
        for (int64_t j = 0; j < k; ++j) {
          const int64_t at = first + j * lines.stride;
          if (T* values = a.output<T>(0)) values[at] = x[order[j] * lines.stride];
          if (int64_t* indices = a.output<int64_t>(1)) indices[at] = order[j];
        }
      }
    });
  });
}

}  // namespace

KernelResult CompileArgExtreme(const LaunchSpec& launch, Context& context) {
  WSI_RETURN_IF_ERROR(ExpectOperands(launch, 1, 1, 1, 1));
  WSI_RETURN_IF_ERROR(ExpectOutput(launch, 0, DType::kI64));
  WSI_ASSIGN_OR_RETURN(const int axis, AxisOf(launch));
  const Lines lines = Lines::Along(launch.inputs[0].shape, axis);
  if (launch.outputs[0].shape.ElementCount() != lines.count) {
    return CompileError(launch, "gives one position for each line along the axis");
  }
  return ForElementType(launch.inputs[0].dtype, [&]<typename T>(std::type_identity<T>) {
    return ArgExtreme<T>(launch, lines, context);
  });
}

KernelResult CompileCumSum(const LaunchSpec& launch, Context& context) {
  WSI_RETURN_IF_ERROR(ExpectOperands(launch, 1, 1, 1, 1));
  const OperandSpec& x = launch.inputs[0];
  WSI_RETURN_IF_ERROR(ExpectOutput(launch, 0, x.dtype, x.shape));
  WSI_ASSIGN_OR_RETURN(const int axis, AxisOf(launch));
  const Lines lines = Lines::Along(x.shape, axis);
  return ForElementType(x.dtype, [&]<typename T>(std::type_identity<T>) {
    return CumSum<T>(launch, lines, context);
  });
}

KernelResult CompileTopK(const LaunchSpec& launch, Context& context) {
  WSI_RETURN_IF_ERROR(ExpectOperands(launch, 1, 1, 1, 2));
  const OperandSpec& x = launch.inputs[0];
  WSI_ASSIGN_OR_RETURN(const int axis, AxisOf(launch));
  const int64_t k = launch.attributes.Int("k", -1);
  if (k < 0 || k > x.shape[axis]) return CompileError(launch, "k is not within the axis");
  std::vector<int64_t> sizes(x.shape.begin(), x.shape.end());
  sizes[static_cast<size_t>(axis)] = k;
  WSI_ASSIGN_OR_RETURN(const Shape y, Shape::Make(sizes));
  WSI_RETURN_IF_ERROR(ExpectOutput(launch, 0, x.dtype, y));
  WSI_RETURN_IF_ERROR(ExpectOutput(launch, 1, DType::kI64, y));
  const Lines lines = Lines::Along(x.shape, axis);
  return ForElementType(x.dtype, [&]<typename T>(std::type_identity<T>) {
    return TopK<T>(launch, lines, k, context);
  });
}

}  // namespace wsi::cpu
