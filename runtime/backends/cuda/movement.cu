// Operators that move elements, of any type, without computing on them: strided copies.
#include <limits>
#include <vector>

#include "runtime/backends/cuda/kernels.h"
#include "runtime/backends/cuda/strided_copy.cuh"

namespace wsi::cuda {
namespace {

constexpr int64_t kMost = std::numeric_limits<int64_t>::max();

template <typename T>
__global__ void FillKernel(T value, int64_t count, T* to) {
  for (int64_t i = FirstItem(); i < count; i += ItemStride()) to[i] = value;
}

// `value` as an element: integers saturate, floats are cut toward zero.
template <typename T>
T ElementOf(double value) {
  if constexpr (std::is_integral_v<T>) {
    using Limits = std::numeric_limits<T>;
    if (value != value) return 0;
    if (value >= static_cast<double>(Limits::max())) return Limits::max();
    if (value <= static_cast<double>(Limits::min())) return Limits::min();
    return static_cast<T>(value);
  } else if constexpr (std::is_same_v<T, double>) {
    return value;
  } else {
    return T(static_cast<float>(value));
  }
}

// The kernel that copies input 0 along the axes, over zeros where `clear`.
KernelResult CopyOf(const LaunchCheck& check, const Axes<2>& axes, bool clear, Context& context) {
  const StridedCopy copy(axes, DTypeBytes(check.output_type(0)));
  const auto bytes = static_cast<size_t>(check.output(0).ByteCount(check.output_type(0)));
  return MakeKernel([=, &context](const LaunchArguments& a) -> Status {
    if (clear) {
      WSI_RETURN_IF_CUDA_ERROR(cudaMemsetAsync(a.outputs[0], 0, bytes, context.stream));
    }
    copy.Run(a.inputs[0], a.outputs[0], context.stream);
    return LaunchStatus();
  });
}

// The part of `full` that a slice takes, in the shape of the slice.
struct Region {
  Shape shape;
  AxisArray strides{};
  int64_t start = 0;
};

Region ReadSlice(LaunchCheck& check, const Shape& full) {
  const std::vector<int64_t> axes = check.Axes("axes", full.rank());
  const auto starts = check.Ints("starts", axes.size(), 0, kMost);
  const auto ends = check.Ints("ends", axes.size(), -1, kMost);
  const auto steps = check.Ints("steps", axes.size(), -kMost, kMost);
  std::vector<int64_t> sizes(full.begin(), full.end());
  Region region{full, RowMajor(full)};
  for (size_t i = 0; i < axes.size(); ++i) {
    const auto axis = static_cast<size_t>(axes[i]);
    const int64_t size = full[static_cast<int>(axes[i])];
    const bool up = steps[i] > 0 && ends[i] >= starts[i] && ends[i] <= size;
    const bool down = steps[i] < 0 && ends[i] <= starts[i] && starts[i] < size;
    check.Require(up || down, "a slice's bounds are outside its axis");
    if (!check.status().ok()) return region;
    const int64_t distance = up ? ends[i] - starts[i] : starts[i] - ends[i];
    sizes[axis] = distance == 0 ? 0 : (distance - 1) / std::abs(steps[i]) + 1;
    region.start += starts[i] * region.strides[axis];
    if (sizes[axis] > 1) region.strides[axis] *= steps[i];
  }
  region.shape = Shape::Make(sizes).value();
  return region;
}

}  // namespace

KernelResult CompileFill(const LaunchSpec& launch, Context& context) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("", "*"));
  const double value = check.Float("value");
  const DType dtype = check.output_type(0);
  check.Require(check.String("dtype", "") == DTypeName(dtype),
                "attribute dtype is not the output's type");
  const Shape& shape = check.output(0);
  const auto sizes = check.Ints("shape", static_cast<size_t>(shape.rank()), 0, kMost);
  check.Require(std::equal(sizes.begin(), sizes.end(), shape.begin()),
                "attribute shape is not the output's shape");
  WSI_RETURN_IF_ERROR(check.status());
  const int64_t count = shape.ElementCount();
  return ForElement(launch, dtype, [&]<typename T>(std::type_identity<T>) {
    const T fill = dtype == DType::kBool ? T(value != 0 ? 1.0F : 0.0F) : ElementOf<T>(value);
    return MakeKernel([=, &context](const LaunchArguments& a) {
      FillKernel<T><<<GridFor(count), kThreads, 0, context.stream>>>(fill, count, a.output<T>(0));
      return LaunchStatus();
    });
  });
}

KernelResult CompileSameBytes(const LaunchSpec& launch, Context& context) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("*", "*"));
  check.OutputIs(0, check.input_type(0));
  check.Require(check.input(0).ElementCount() == check.output(0).ElementCount(),
                "input and output differ in size");
  if (launch.op == "Identity") check.OutputIs(0, check.input(0));
  WSI_RETURN_IF_ERROR(check.status());
  const auto bytes = static_cast<size_t>(check.output(0).ByteCount(check.output_type(0)));
  return MakeKernel([=, &context](const LaunchArguments& a) -> Status {
    if (a.outputs[0] == a.inputs[0] || bytes == 0) return {};
    return WSI_CUDA_STATUS(cudaMemcpyAsync(a.outputs[0], a.inputs[0], bytes,
                                           cudaMemcpyDeviceToDevice, context.stream));
  });
}

KernelResult CompileTranspose(const LaunchSpec& launch, Context& context) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("*", "*"));
  const Shape& x = check.input(0);
  const std::vector<int64_t> perm = check.Axes("perm", x.rank());
  check.Require(perm.size() == static_cast<size_t>(x.rank()), "perm is not a permutation");
  WSI_RETURN_IF_ERROR(check.status());
  const Shape result = PermuteShape(x, perm);
  check.OutputIs(0, result);
  check.OutputIs(0, check.input_type(0));
  WSI_RETURN_IF_ERROR(check.status());
  AxisArray read{};
  for (size_t i = 0; i < perm.size(); ++i) {
    read[i] = RowMajor(x)[static_cast<size_t>(perm[i])];
  }
  const Axes<2> axes = Merge<2>(result.rank(), Sizes(result), {read, RowMajor(result)});
  return CopyOf(check, axes, false, context);
}

KernelResult CompileExpand(const LaunchSpec& launch, Context& context) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("*", "*"));
  const Shape& result = check.output(0);
  check.OutputIs(0, check.input_type(0));
  const Result<Shape> stretched = BroadcastShapes(check.input(0), result);
  check.Require(stretched.ok() && *stretched == result, "the input does not broadcast");
  WSI_RETURN_IF_ERROR(check.status());
  const Axes<2> axes =
      Merge<2>(result.rank(), Sizes(result), {Broadcast(check.input(0), result), RowMajor(result)});
  return CopyOf(check, axes, false, context);
}

KernelResult CompileSlice(const LaunchSpec& launch, Context& context) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("*", "*"));
  const Region region = ReadSlice(check, check.input(0));
  check.OutputIs(0, region.shape);
  check.OutputIs(0, check.input_type(0));
  WSI_RETURN_IF_ERROR(check.status());
  Axes<2> axes =
      Merge<2>(region.shape.rank(), Sizes(region.shape), {region.strides, RowMajor(region.shape)});
  axes.start[0] = region.start;
  return CopyOf(check, axes, false, context);
}

KernelResult CompileSliceGrad(const LaunchSpec& launch, Context& context) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("*", "*"));
  const Region region = ReadSlice(check, check.output(0));
  check.InputIs(0, region.shape);
  check.OutputIs(0, check.input_type(0));
  WSI_RETURN_IF_ERROR(check.status());
  Axes<2> axes =
      Merge<2>(region.shape.rank(), Sizes(region.shape), {RowMajor(region.shape), region.strides});
  axes.start[1] = region.start;
  return CopyOf(check, axes, true, context);
}

KernelResult CompilePad(const LaunchSpec& launch, Context& context) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("*", "*"));
  const Shape& x = check.input(0);
  const Shape& y = check.output(0);
  const auto rank = static_cast<size_t>(x.rank());
  const auto pads = check.Ints("pads", 2 * rank, 0, int64_t{1} << 60);
  const double value = check.Float("value", 0);
  check.Require(check.String("mode", "constant") == "constant", "mode is not constant");
  check.Require(y.rank() == x.rank(), "input and output differ in rank");
  check.OutputIs(0, check.input_type(0));
  WSI_RETURN_IF_ERROR(check.status());
  int64_t start = 0;
  for (size_t i = 0; i < rank; ++i) {
    const int axis = static_cast<int>(i);
    const int64_t inner = y[axis] - pads[i];  // Before overflow can happen.
    check.Require(inner >= 0 && inner - pads[rank + i] == x[axis],
                  "the output's sizes are not those of the padded input");
    start += pads[i] * RowMajor(y)[i];
    WSI_RETURN_IF_ERROR(check.status());
  }
  Axes<2> axes = Merge<2>(x.rank(), Sizes(x), {RowMajor(x), RowMajor(y)});
  axes.start[1] = start;
  const StridedCopy copy(axes, DTypeBytes(check.output_type(0)));
  const int64_t count = y.ElementCount();
  return ForElement(launch, check.input_type(0), [&]<typename T>(std::type_identity<T>) {
    const T fill = ElementOf<T>(value);
    return MakeKernel([=, &context](const LaunchArguments& a) {
      FillKernel<T><<<GridFor(count), kThreads, 0, context.stream>>>(fill, count, a.output<T>(0));
      copy.Run(a.inputs[0], a.outputs[0], context.stream);
      return LaunchStatus();
    });
  });
}

KernelResult CompileConcat(const LaunchSpec& launch, Context& context) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("*+", "*"));
  const Shape& y = check.output(0);
  const int axis = check.Axis("axis", y.rank());
  WSI_RETURN_IF_ERROR(check.status());
  std::vector<StridedCopy> copies;
  int64_t offset = 0;
  for (size_t i = 0; i < launch.inputs.size(); ++i) {
    const Shape& x = check.input(i);
    check.InputIs(i, check.output_type(0));
    bool fits = x.rank() == y.rank();
    for (int a = 0; fits && a < y.rank(); ++a) {
      fits = a == axis ? x[a] <= y[a] - offset : x[a] == y[a];
    }
    check.Require(fits, "an input does not fit the output");
    WSI_RETURN_IF_ERROR(check.status());
    Axes<2> axes = Merge<2>(y.rank(), Sizes(x), {RowMajor(x), RowMajor(y)});
    axes.start[1] = offset * RowMajor(y)[static_cast<size_t>(axis)];
    copies.emplace_back(axes, DTypeBytes(check.output_type(0)));
    offset += x[axis];
  }
  check.Require(offset == y[axis], "the inputs do not fill the output");
  WSI_RETURN_IF_ERROR(check.status());
  return MakeKernel([copies = std::move(copies), &context](const LaunchArguments& a) {
    for (size_t i = 0; i < copies.size(); ++i) {
      copies[i].Run(a.inputs[i], a.outputs[0], context.stream);
    }
    return LaunchStatus();
  });
}

}  // namespace wsi::cuda
