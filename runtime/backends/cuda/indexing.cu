// Operators that read or write where an integer tensor says.
#include <string>
#include <vector>

#include "runtime/backends/cuda/kernels.h"
#include "runtime/backends/cuda/strided.cuh"
#include "runtime/backends/rows.h"

namespace wsi::cuda {
namespace {

// Positions along an axis, i64 or i32; negative ones count from the back.
struct Indices {
  const std::byte* data;
  bool wide;
  int64_t size;  // Of the axis.
  int place;     // Of the fault that one is outside.
  FaultRecord* faults;

  // From the front; 0 behind a fault.
  __device__ int64_t At(int64_t i) const {
    const int64_t index = wide ? reinterpret_cast<const int64_t*>(data)[i]
                               : reinterpret_cast<const int32_t*>(data)[i];
    if (index >= -size && index < size) return index < 0 ? index + size : index;
    Raise(faults, place, index);
    return 0;
  }
};

struct IndexCheck {
  bool wide;
  int64_t size;
  int place;
  Indices Of(const LaunchArguments& a, const Context& context) const {
    return {a.inputs[1], wide, size, place, context.faults.device_record()};
  }
};

IndexCheck CheckIndices(const LaunchSpec& launch, LaunchCheck& check, int64_t size,
                        Context& context) {
  const DType dtype = check.input_type(1);
  check.Require(dtype == DType::kI64 || dtype == DType::kI32, "indices are neither i64 nor i32");
  const int place = context.faults.Register(
      FaultText(launch, "index {} is outside an axis of size " + std::to_string(size)));
  return {dtype == DType::kI64, size, place};
}

Shape WithAxis(const Shape& shape, int axis, int64_t size) {
  std::vector<int64_t> sizes(shape.begin(), shape.end());
  sizes[static_cast<size_t>(axis)] = size;
  return Shape::Make(sizes).value();
}

void WantWithin(LaunchCheck& check, const Shape& x, const Shape& indices, int axis) {
  bool fits = indices.rank() == x.rank();
  for (int a = 0; fits && a < x.rank(); ++a) fits = a == axis || indices[a] <= x[a];
  check.Require(fits, "indices do not lie within the tensor");
}

// `width` units make up the elements behind one position.
template <typename Unit>
__global__ void GatherKernel(Rows rows, int64_t count, int64_t width, Indices indices,
                             const Unit* x, Unit* y) {
  const int64_t total = rows.outer_count * count * width;
  for (int64_t i = FirstItem(); i < total; i += ItemStride()) {
    const int64_t line = i / width;
    const int64_t from = line / count * rows.length + indices.At(line % count);
    y[i] = x[from * width + i % width];
  }
}

// Tensor 0 of the axes: the indices; 1: the tensor that they point into, standing still
// along its axis, whose stride is `stride`.
template <typename Unit>
__global__ void GatherElementsKernel(Axes<2> axes, int64_t count, int64_t stride, Indices indices,
                                     const Unit* x, Unit* y) {
  for (int64_t i = FirstItem(); i < count; i += ItemStride()) {
    int64_t at[2];
    axes.Locate(i, at);
    y[i] = x[at[1] + indices.At(i) * stride];
  }
}

enum class Scatter { kNone, kAdd, kMul, kMax, kMin };

template <typename C>
__device__ C Combine(Scatter how, C a, C b) {
  switch (how) {
    case Scatter::kAdd: return static_cast<C>(a + b);
    case Scatter::kMul: return static_cast<C>(a * b);
    case Scatter::kMax: return a != a || a > b ? a : b;
    case Scatter::kMin: return a != a || a < b ? a : b;
    default: return b;
  }
}

// A thread a line along the axis, so that updates of one element come in order.
template <typename T>
__global__ void ScatterKernel(Axes<2> lines, int64_t count, int64_t length, int64_t index_stride,
                              int64_t stride, Scatter how, Indices indices, const T* updates,
                              Computed<T>* y) {
  for (int64_t i = FirstItem(); i < count; i += ItemStride()) {
    int64_t at[2];
    lines.Locate(i, at);
    for (int64_t j = 0; j < length; ++j) {
      const int64_t from = at[0] + j * index_stride;
      Computed<T>& element = y[at[1] + indices.At(from) * stride];
      element = Combine<Computed<T>>(how, element, Load(updates[from]));
    }
  }
}

template <typename From, typename To>
__global__ void ConvertKernel(const From* from, int64_t count, To* to) {
  for (int64_t i = FirstItem(); i < count; i += ItemStride()) Store(Load(from[i]), to[i]);
}

// make(Unit()) for the type that moves `bytes` at once.
template <typename F>
KernelResult WithUnit(Bytes bytes, const F& make) {
  switch (bytes) {
    case 16: return make(uint4());
    case 8: return make(uint64_t());
    case 4: return make(uint32_t());
    case 2: return make(uint16_t());
    default: return make(uint8_t());
  }
}

// The axes of `indices` but `axis` where `lines`, with the strides of both tensors.
Axes<2> IndexedAxes(const Shape& indices, const Shape& x, int axis, bool lines) {
  AxisArray sizes = Sizes(indices);
  AxisArray into = RowMajor(x);
  if (lines) sizes[static_cast<size_t>(axis)] = 1;
  into[static_cast<size_t>(axis)] = 0;
  return Merge<2>(indices.rank(), sizes, {RowMajor(indices), into});
}

}  // namespace

KernelResult CompileGather(const LaunchSpec& launch, Context& context) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("**", "*"));
  const int axis = check.Axis("axis", check.input(0).rank());
  check.Require(check.input(1).rank() == 1, "indices are no list");
  WSI_RETURN_IF_ERROR(check.status());
  const int64_t count = check.input(1)[0];
  const Rows rows = RowsAlong(check.input(0), axis);
  const IndexCheck index = CheckIndices(launch, check, rows.length, context);
  check.OutputIs(0, WithAxis(check.input(0), axis, count));
  check.OutputIs(0, check.input_type(0));
  WSI_RETURN_IF_ERROR(check.status());
  const Bytes bytes = rows.inner_count * DTypeBytes(check.input_type(0));
  Bytes unit = 16;
  while (bytes % unit != 0) unit /= 2;
  return WithUnit(unit, [&]<typename Unit>(Unit) {
    return MakeKernel([=, &context](const LaunchArguments& a) {
      const int64_t width = bytes / unit;
      GatherKernel<Unit>
          <<<GridFor(rows.outer_count * count * width), kThreads, 0, context.stream>>>(
              rows, count, width, index.Of(a, context), a.input<Unit>(0), a.output<Unit>(0));
      return LaunchStatus();
    });
  });
}

KernelResult CompileGatherElements(const LaunchSpec& launch, Context& context) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("**", "*"));
  const Shape& x = check.input(0);
  const Shape& indices = check.input(1);
  const int axis = check.Axis("axis", x.rank());
  WantWithin(check, x, indices, axis);
  WSI_RETURN_IF_ERROR(check.status());
  const IndexCheck index = CheckIndices(launch, check, x[axis], context);
  check.OutputIs(0, indices);
  check.OutputIs(0, check.input_type(0));
  WSI_RETURN_IF_ERROR(check.status());
  const Axes<2> axes = IndexedAxes(indices, x, axis, false);
  const int64_t stride = RowMajor(x)[static_cast<size_t>(axis)];
  const int64_t count = indices.ElementCount();
  return WithUnit(DTypeBytes(check.input_type(0)), [&]<typename Unit>(Unit) {
    return MakeKernel([=, &context](const LaunchArguments& a) {
      GatherElementsKernel<Unit><<<GridFor(count), kThreads, 0, context.stream>>>(
          axes, count, stride, index.Of(a, context), a.input<Unit>(0), a.output<Unit>(0));
      return LaunchStatus();
    });
  });
}

KernelResult CompileScatterElements(const LaunchSpec& launch, Context& context) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("***", "*"));
  const Shape& x = check.input(0);
  const Shape& indices = check.input(1);
  const int axis = check.Axis("axis", x.rank());
  WantWithin(check, x, indices, axis);
  check.InputIs(2, indices);
  check.InputIs(2, check.input_type(0));
  check.OutputIs(0, x);
  check.OutputIs(0, check.input_type(0));
  WSI_RETURN_IF_ERROR(check.status());
  const IndexCheck index = CheckIndices(launch, check, x[axis], context);
  const std::string_view names[] = {"none", "add", "mul", "max", "min"};
  const auto* found =
      std::find(std::begin(names), std::end(names), check.String("reduction", "none"));
  check.Require(found != std::end(names), "reduction is none of none, add, mul, max, min");
  WSI_RETURN_IF_ERROR(check.status());
  const auto how = static_cast<Scatter>(found - std::begin(names));
  const Axes<2> lines = IndexedAxes(indices, x, axis, true);
  const auto a_axis = static_cast<size_t>(axis);
  const int64_t index_stride = RowMajor(indices)[a_axis];
  const int64_t stride = RowMajor(x)[a_axis];
  const int64_t length = indices[axis];
  const int64_t count = lines.Count();
  const int64_t elements = x.ElementCount();
  return ForElement(launch, check.input_type(0), [&]<typename T>(std::type_identity<T>) {
    // Halves are combined in fp32 and rounded once.
    constexpr bool kWidens = !std::is_same_v<T, Computed<T>>;
    if (kWidens) {
      const Status s = RequireWorkspace(launch, elements * Bytes{sizeof(Computed<T>)});
      if (!s.ok()) return KernelResult(s);
    }
    return MakeKernel([=, &context](const LaunchArguments& a) -> Status {
      auto* y = kWidens ? WorkspaceAt<Computed<T>>(a) : a.output<Computed<T>>(0);
      const unsigned grid = GridFor(elements);
      if (kWidens || a.outputs[0] != a.inputs[0]) {
        ConvertKernel<<<grid, kThreads, 0, context.stream>>>(a.input<T>(0), elements, y);
      }
      ScatterKernel<T><<<GridFor(count), kThreads, 0, context.stream>>>(
          lines, count, length, index_stride, stride, how, index.Of(a, context), a.input<T>(2), y);
      if (kWidens) {
        ConvertKernel<<<grid, kThreads, 0, context.stream>>>(y, elements, a.output<T>(0));
      }
      return LaunchStatus();
    });
  });
}

}  // namespace wsi::cuda
