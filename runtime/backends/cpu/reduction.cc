#include "runtime/backends/cpu/reduction.h"

#include <algorithm>
#include <cmath>
#include <type_traits>

#include "runtime/backends/cpu/fold_axes.h"
#include "runtime/backends/cpu/strided_copy.h"
#include "runtime/backends/cpu/sums.h"

namespace wsi::cpu {
namespace {

// A run of neighbouring axes that are all reduced or all kept.
struct AxisGroup {
  int64_t size = 1;
  bool reduced = false;
};

// What sums are made of: fp64, and integers that wrap, as numpy's do.
template <typename T>
auto TermOf(const T& v) {
  if constexpr (std::is_integral_v<T>) {
    return static_cast<uint64_t>(v);
  } else {
    return static_cast<double>(Load(v));
  }
}
// The mean of integers truncates.
template <typename U>
void StoreTotal(double total, double factor, U& out) {
  Store(static_cast<Computed<U>>(total * factor), out);
}
template <typename U>
requires(std::is_integral_v<U>) void StoreTotal(uint64_t total, double factor, U& out) {
  const auto whole = static_cast<int64_t>(total);
  out = static_cast<U>(whole / std::max<int64_t>(1, std::llround(1.0 / factor)));
}

// Sums of a shape whose reduced axes have kept ones on both sides of them, several
// times over: each result walks its elements on its own.
template <typename T, typename U>
KernelResult CompileScattered(const std::vector<AxisGroup>& groups, double factor,
                              Context& context) {
  std::vector<StridedCopy::Axis> kept;
  std::vector<StridedCopy::Axis> reduced;
  int64_t stride = 1;
  int64_t results = 1;
  int64_t terms = 1;
  for (size_t g = groups.size(); g-- > 0;) {
    (groups[g].reduced ? reduced : kept).push_back({groups[g].size, stride, 0});
    (groups[g].reduced ? terms : results) *= groups[g].size;
    stride *= groups[g].size;
  }
  const auto offset_of = [](const std::vector<StridedCopy::Axis>& axes, int64_t index) {
    int64_t offset = 0;
    for (const StridedCopy::Axis& axis : axes) {  // Innermost first.
      offset += index % axis.size * axis.from_stride;
      index /= axis.size;
    }
    return offset;
  };
  const Chunks chunks = ChunksOf(results, terms, kGrain);
  return MakeKernel([=, &context](const LaunchArguments& a) {
    ForChunks(context.pool, chunks, [&](int64_t begin, int64_t end, int64_t, int) {
      for (int64_t r = begin; r < end; ++r) {
        const T* x = a.input<T>(0) + offset_of(kept, r);
        decltype(TermOf(*x)) total = 0;
        for (int64_t t = 0; t < terms; ++t) total += TermOf(x[offset_of(reduced, t)]);
        StoreTotal(total, factor, a.output<U>(0)[r]);
      }
    });
  });
}

// T: what is summed; U: the results, T or fp32.
template <typename T, typename U>
KernelResult CompileSums(const LaunchSpec& launch, Context& context) {
  WSI_RETURN_IF_ERROR(ExpectOperands(launch, 1, 1, 1, 1));
  const Shape& x = launch.inputs[0].shape;
  std::vector<bool> reduce(static_cast<size_t>(x.rank()), false);
  for (const int64_t value : launch.attributes.Ints("axes")) {
    WSI_ASSIGN_OR_RETURN(const int axis, NormalizeAxis(value, x.rank()));
    reduce[static_cast<size_t>(axis)] = true;
  }
  std::vector<AxisGroup> groups;
  int64_t results = 1;
  int64_t terms = 1;
  for (int axis = 0; axis < x.rank(); ++axis) {
    const bool reduced = reduce[static_cast<size_t>(axis)];
    (reduced ? terms : results) *= x[axis];
    if (x[axis] == 1) continue;
    if (groups.empty() || groups.back().reduced != reduced) groups.push_back({1, reduced});
    groups.back().size *= x[axis];
  }
  if (launch.outputs[0].shape.ElementCount() != results) {
    return CompileError(launch, "output does not have the sizes of the axes that are kept");
  }
  const bool mean = launch.op == "ReduceMean";
  const double factor = mean ? 1.0 / static_cast<double>(terms) : 1.0;
  // outer (kept), reduced, inner (kept).
  std::vector<AxisGroup> three = groups;
  if (three.empty() || three.front().reduced) three.insert(three.begin(), AxisGroup{});
  if (three.size() == 1) three.push_back({1, true});
  if (three.size() == 2) three.push_back({});
  if constexpr (std::is_integral_v<T> || std::is_same_v<T, double>) {
    return CompileScattered<T, U>(groups, factor, context);
  } else {
    if (three.size() > 3) return CompileScattered<T, U>(groups, factor, context);
    const MiddleSum sum(three[0].size, three[1].size, three[2].size);
    WSI_RETURN_IF_ERROR(sum.Require(context.scratch));
    return MakeKernel([sum, factor, &context](const LaunchArguments& a) {
      sum.Run(context, a.input<T>(0), factor, a.output<U>(0));
    });
  }
}

template <typename T>
KernelResult CompileReduceOf(const LaunchSpec& launch, Context& context) {
  WSI_RETURN_IF_ERROR(ExpectOperands(launch, 1, 1, 1, 1));
  if (launch.outputs[0].dtype == DType::kF32) {
    return CompileSums<T, float>(launch, context);
  }
  WSI_RETURN_IF_ERROR(ExpectOutput(launch, 0, StorageType<T>()));
  return CompileSums<T, T>(launch, context);
}

template <typename T>
KernelResult CompileSquaredNormOf(const LaunchSpec& launch, Context& context) {
  WSI_RETURN_IF_ERROR(ExpectOperands(launch, 1, 1, 1, 1));
  const bool wide = launch.outputs[0].dtype == DType::kF64;
  if (!wide) WSI_RETURN_IF_ERROR(ExpectOutput(launch, 0, DType::kF32));
  if (launch.outputs[0].shape.ElementCount() != 1) {
    return CompileError(launch, "gives one number");
  }
  const SquareSum sum(launch.inputs[0].shape.ElementCount());
  WSI_RETURN_IF_ERROR(sum.Require(context.scratch));
  return MakeKernel([sum, wide, &context](const LaunchArguments& a) {
    const double total = sum.Run(context, a.input<T>(0));
    if (wide) {
      *a.output<double>(0) = total;
    } else {
      *a.output<float>(0) = static_cast<float>(total);
    }
  });
}

}  // namespace

KernelResult CompileReduce(const LaunchSpec& launch, Context& context) {
  WSI_RETURN_IF_ERROR(ExpectOperands(launch, 1, 1, 1, 1));
  const bool sums = launch.op == "ReduceSum" || launch.op == "ReduceMean";
  if (!sums || launch.inputs[0].shape.ElementCount() == 0) {
    return CompileFoldAxes(launch, context);
  }
  const DType dtype = launch.inputs[0].dtype;
  if (dtype != DType::kF64 && dtype != DType::kI64 && dtype != DType::kI32) {
    return WSI_BY_STORAGE(CompileReduceOf);
  }
  WSI_RETURN_IF_ERROR(ExpectOutput(launch, 0, dtype));
  if (dtype == DType::kI64) return CompileSums<int64_t, int64_t>(launch, context);
  if (dtype == DType::kI32) return CompileSums<int32_t, int32_t>(launch, context);
  return CompileSums<double, double>(launch, context);
}

KernelResult CompileSquaredNorm(const LaunchSpec& launch, Context& context) {
  return WSI_BY_STORAGE(CompileSquaredNormOf);
}

// s * min(1, max_norm / (s * sqrt(sumsq) + 1e-6)), s = scale0 / loss_scale, as
// clip_grad_norm_ of PyTorch does for gradients that are still to be multiplied by s.
KernelResult CompileClipScale(const LaunchSpec& launch, Context&) {
  WSI_RETURN_IF_ERROR(ExpectOperands(launch, 1, 2, 1, 1));
  const bool wide = launch.inputs[0].dtype == DType::kF64;
  if (!wide) WSI_RETURN_IF_ERROR(ExpectInput(launch, 0, DType::kF32));
  WSI_RETURN_IF_ERROR(ExpectInput(launch, 1, DType::kF32, Shape()));
  WSI_RETURN_IF_ERROR(ExpectOutput(launch, 0, DType::kF32));
  if (launch.inputs[0].shape.ElementCount() != 1 || launch.outputs[0].shape.ElementCount() != 1) {
    return CompileError(launch, "takes and gives one number");
  }
  const double max_norm = launch.attributes.Float("max_norm", 1.0);
  const double scale0 = launch.attributes.Float("scale0", 1.0);
  return MakeKernel([=](const LaunchArguments& a) {
    const float* loss_scale = a.input<float>(1);
    const double scale = loss_scale == nullptr ? scale0 : scale0 / static_cast<double>(*loss_scale);
    const double squares = wide ? *a.input<double>(0) : static_cast<double>(*a.input<float>(0));
    const double factor = std::min(1.0, max_norm / (scale * std::sqrt(squares) + 1e-6));
    *a.output<float>(0) = static_cast<float>(scale * factor);
  });
}

}  // namespace wsi::cpu
