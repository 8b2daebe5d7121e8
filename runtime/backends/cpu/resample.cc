#include "runtime/backends/cpu/resample.h"

#include <fmt/format.h>

#include <algorithm>

#include "runtime/backends/cpu/column_sums.h"
#include "runtime/backends/cpu/element_types.h"
#include "runtime/backends/cpu/stored_run.h"

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
void Scale(const T* x, int64_t n, A weight, A* y) {
  for (int64_t i = 0; i < n; ++i) y[i] = weight * static_cast<A>(x[i]);
}
template <typename T, typename A>
void AddScaled(const T* x, int64_t n, A weight, A* y) {
  for (int64_t i = 0; i < n; ++i) y[i] += weight * static_cast<A>(x[i]);
}

// Row `row` of y, whose sums are rounded once: those of 16-bit floats are collected in fp32,
// kBlock elements at a time.
template <typename T, typename A = Arithmetic<T>>
void ResampleRow(const Resampling& r, const LaunchArguments& a, int64_t row) {
  constexpr DType kType = ElementType<T>();
  const T* x = a.input<T>(0) + row / r.positions * r.size * r.inner;
  const int64_t entry = row % r.positions * r.taps;
  const int64_t* indices = a.input<int64_t>(1) + entry;
  const NarrowedRun<A> stored(kType, a.outputs[0], row * r.inner);
  A buffer[kIsHalf<T> ? kBlock : 1];
  ForBlocks(kType, r.inner, [&](int64_t at, int64_t n) {
    A* y = stored.At(at, buffer);
    if (r.taps == 0) std::fill_n(y, n, A{});
    for (int64_t t = 0; t < r.taps; ++t) {
      const T* from = x + indices[t] * r.inner + at;
      const A weight = static_cast<A>(r.Weight(a, entry + t));
      t == 0 ? Scale(from, n, weight, y) : AddScaled(from, n, weight, y);
    }
    stored.Write(at, n, y);
  });
}

template <typename T>
KernelResult Resample(const Resampling& r, Context& context) {
  const Chunks rows = ChunksOf(r.outer * r.positions, r.inner * r.taps, kGrain);
  return MakeKernel([=, &context](const LaunchArguments& a) -> Status {
    WSI_RETURN_IF_ERROR(CheckIndices(r, a));
    ForChunks(context.pool, rows, [&](int64_t begin, int64_t end, int64_t, int) {
      for (int64_t row = begin; row < end; ++row) ResampleRow<T>(r, a, row);
    });
    return {};
  });
}

// Columns are apart, so that what is added to one element keeps its order.
template <typename T>
KernelResult ResampleGrad(const Resampling& r, Context& context) {
  using A = Arithmetic<T>;
  const Chunks columns = ChunksOf(r.inner, std::max(r.size, r.positions * r.taps), kGrain);
  WSI_RETURN_IF_ERROR(ColumnSums<T>::Require(context.scratch, r.size, columns));
  return MakeKernel([=, &context](const LaunchArguments& a) -> Status {
    WSI_RETURN_IF_ERROR(CheckIndices(r, a));
    context.pool.ParallelFor(r.outer * columns.count(), [&](int64_t chunk, int worker) {
      const int64_t outer = chunk / columns.count();
      const int64_t begin = columns.begin(chunk % columns.count());
      const int64_t width = columns.end(chunk % columns.count()) - begin;
      const ColumnSums<T> sums(a.output<T>(0) + outer * r.size * r.inner + begin, r.size, r.inner,
                               width, context.scratch, worker);
      const T* dy = a.input<T>(0) + outer * r.positions * r.inner + begin;
      for (int64_t i = 0; i < r.positions * r.taps; ++i) {
        const A weight = static_cast<A>(r.Weight(a, i));
        if (weight == A{0}) continue;
        AddScaled(dy + i / r.taps * r.inner, width, weight, sums.Row(a.input<int64_t>(1)[i]));
      }
      sums.Store();
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
