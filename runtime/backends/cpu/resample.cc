#include "runtime/backends/cpu/resample.h"

#include <fmt/format.h>

#include <algorithm>

#include "runtime/backends/cpu/element_types.h"

namespace wsi::cpu {
namespace {

// The tensor with `size` positions along the axis is read or added to through a table of
// `positions` times `taps` entries.
struct Resampling {
  int64_t outer = 1;
  int64_t inner = 1;
  int64_t size = 0;
  int64_t positions = 0;
  int64_t taps = 0;
  bool wide = true;  // The weights are f64; else f32.

  double Weight(const LaunchArguments& a, int64_t i) const {
    return wide ? a.input<double>(2)[i] : static_cast<double>(a.input<float>(2)[i]);
  }
};

// `whole`: of the tensor that the indices are positions of; `part`: of the other.
Result<Resampling> MakeResampling(const LaunchSpec& launch, const Shape& whole, const Shape& part) {
  WSI_ASSIGN_OR_RETURN(const int axis,
                       NormalizeAxis(launch.attributes.Int("axis", 0), whole.rank()));
  WSI_RETURN_IF_ERROR(ExpectInput(launch, 1, DType::kI64));
  const bool wide = launch.inputs[2].dtype == DType::kF64;
  const DType weights = wide ? DType::kF64 : DType::kF32;
  WSI_RETURN_IF_ERROR(ExpectInput(launch, 2, weights, launch.inputs[1].shape));
  bool fits = launch.inputs[1].shape.rank() == 2 && part.rank() == whole.rank();
  for (int a = 0; fits && a < whole.rank(); ++a) {
    fits = part[a] == (a == axis ? launch.inputs[1].shape[0] : whole[a]);
  }
  if (!fits) return CompileError(launch, "the table does not lead from one tensor to the other");
  Resampling r{.size = whole[axis],
               .positions = launch.inputs[1].shape[0],
               .taps = launch.inputs[1].shape[1],
               .wide = wide};
  for (int a = 0; a < axis; ++a) r.outer *= whole[a];
  for (int a = axis + 1; a < whole.rank(); ++a) r.inner *= whole[a];
  return r;
}

Status CheckIndices(const Resampling& r, const LaunchArguments& a) {
  const int64_t* indices = a.input<int64_t>(1);
  for (int64_t i = 0; i < r.positions * r.taps; ++i) {
    if (indices[i] >= 0 && indices[i] < r.size) continue;
    return InvalidInput(fmt::format("index {} is outside an axis of size {}", indices[i], r.size));
  }
  return {};
}

// What T is multiplied and added in.
template <typename T>
using Arithmetic = std::conditional_t<std::is_same_v<T, double>, double, float>;

// y = or += weight * x over `n` elements.
template <typename T, typename A>
void Scale(const T* x, int64_t n, A weight, T* y) {
  for (int64_t i = 0; i < n; ++i) y[i] = static_cast<T>(weight * static_cast<A>(x[i]));
}
template <typename T, typename A>
void AddScaled(const T* x, int64_t n, A weight, T* y) {
  for (int64_t i = 0; i < n; ++i) {
    y[i] = static_cast<T>(static_cast<A>(y[i]) + weight * static_cast<A>(x[i]));
  }
}

template <typename T>
KernelResult Resample(const Resampling& r, Context& context) {
  using A = Arithmetic<T>;
  const Chunks rows = ChunksOf(r.outer * r.positions, r.inner * r.taps, kGrain);
  return MakeKernel([=, &context](const LaunchArguments& a) -> Status {
    WSI_RETURN_IF_ERROR(CheckIndices(r, a));
    ForChunks(context.pool, rows, [&](int64_t begin, int64_t end, int64_t, int) {
      for (int64_t row = begin; row < end; ++row) {
        const T* x = a.input<T>(0) + row / r.positions * r.size * r.inner;
        const int64_t entry = row % r.positions * r.taps;
        const int64_t* indices = a.input<int64_t>(1) + entry;
        T* y = a.output<T>(0) + row * r.inner;
        if (r.taps == 0) std::fill(y, y + r.inner, T{});
        for (int64_t t = 0; t < r.taps; ++t) {
          const T* from = x + indices[t] * r.inner;
          const A weight = static_cast<A>(r.Weight(a, entry + t));
          t == 0 ? Scale(from, r.inner, weight, y) : AddScaled(from, r.inner, weight, y);
        }
      }
    });
    return {};
  });
}

// Columns are apart, so that what is added to one element keeps its order.
template <typename T>
KernelResult ResampleGrad(const Resampling& r, Context& context) {
  using A = Arithmetic<T>;
  const Chunks columns = ChunksOf(r.inner, std::max(r.size, r.positions * r.taps), kGrain);
  return MakeKernel([=, &context](const LaunchArguments& a) -> Status {
    WSI_RETURN_IF_ERROR(CheckIndices(r, a));
    context.pool.ParallelFor(r.outer * columns.count(), [&](int64_t chunk, int) {
      const int64_t outer = chunk / columns.count();
      const int64_t begin = columns.begin(chunk % columns.count());
      const int64_t width = columns.end(chunk % columns.count()) - begin;
      T* dx = a.output<T>(0) + outer * r.size * r.inner + begin;
      const T* dy = a.input<T>(0) + outer * r.positions * r.inner + begin;
      for (int64_t s = 0; s < r.size; ++s) std::fill_n(dx + s * r.inner, width, T{});
      for (int64_t i = 0; i < r.positions * r.taps; ++i) {
        const A weight = static_cast<A>(r.Weight(a, i));
        if (weight == A{0}) continue;
        AddScaled(dy + i / r.taps * r.inner, width, weight, dx + a.input<int64_t>(1)[i] * r.inner);
      }
    });
    return {};
  });
}

}  // namespace

KernelResult CompileResample(const LaunchSpec& launch, Context& context) {
  WSI_RETURN_IF_ERROR(ExpectOperands(launch, 3, 3, 1, 1));
  const OperandSpec& x = launch.inputs[0];
  WSI_RETURN_IF_ERROR(ExpectOutput(launch, 0, x.dtype));
  WSI_ASSIGN_OR_RETURN(const Resampling r,
                       MakeResampling(launch, x.shape, launch.outputs[0].shape));
  return ForElementType(x.dtype, [&]<typename T>(std::type_identity<T>) -> KernelResult {
    if constexpr (kIsFloat<T>) return Resample<T>(r, context);
    return CompileError(launch, "wants floats");
  });
}

KernelResult CompileResampleGrad(const LaunchSpec& launch, Context& context) {
  WSI_RETURN_IF_ERROR(ExpectOperands(launch, 3, 3, 1, 1));
  const OperandSpec& dx = launch.outputs[0];
  WSI_RETURN_IF_ERROR(ExpectInput(launch, 0, dx.dtype));
  WSI_ASSIGN_OR_RETURN(const Resampling r,
                       MakeResampling(launch, dx.shape, launch.inputs[0].shape));
  return ForElementType(dx.dtype, [&]<typename T>(std::type_identity<T>) -> KernelResult {
    if constexpr (kIsFloat<T>) return ResampleGrad<T>(r, context);
    return CompileError(launch, "wants floats");
  });
}

}  // namespace wsi::cpu
