#include "runtime/backends/cpu/movement.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "runtime/backends/cpu/strided_copy.h"
#include "runtime/base/tensor.h"

namespace wsi::cpu {
namespace {

using Axis = StridedCopy::Axis;

// One input and one output of the same type.
Status ExpectOneToOne(const LaunchSpec& launch) {
  WSI_RETURN_IF_ERROR(ExpectOperands(launch, 1, 1, 1, 1));
  return ExpectOutput(launch, 0, launch.inputs[0].dtype);
}

KernelResult MakeCopy(StridedCopy copy, Context& context) {
  return MakeKernel([copy = std::move(copy), &context](const LaunchArguments& a) {
    copy.Run(context.pool, a.inputs[0], a.outputs[0]);
  });
}

// The bytes of `value` as an element of type `dtype`.
std::array<std::byte, 8> ElementOf(DType dtype, double value) {
  const double values[] = {value};
  const Tensor element = Tensor::Of<double>({1}, values).Cast(dtype).value();
  std::array<std::byte, 8> bytes{};
  std::copy(element.bytes().begin(), element.bytes().end(), bytes.begin());
  return bytes;
}

// Fills a whole tensor with one element.
StridedCopy MakeFill(const Shape& shape, DType dtype) {
  const Axis axis = {.size = shape.ElementCount(), .from_stride = 0, .to_stride = 1};
  return StridedCopy({&axis, 1}, 0, 0, DTypeBytes(dtype));
}

// The region of `whole` that starts[i], steps[i] pick out, of shape `part`: strides per
// axis and the offset of its first element.
struct Region {
  std::vector<int64_t> strides;
  int64_t offset = 0;
};
Result<Region> SliceRegion(const LaunchSpec& launch, const Shape& whole, const Shape& part) {
  const auto starts = launch.attributes.Ints("starts");
  const auto axes = launch.attributes.Ints("axes");
  const auto steps = launch.attributes.Ints("steps", std::vector<int64_t>(starts.size(), 1));
  if (axes.size() != starts.size() || steps.size() != starts.size() ||
      part.rank() != whole.rank()) {
    return CompileError(launch, "starts, axes and steps differ in length");
  }
  Region region{.strides = RowMajorStrides(whole)};
  std::vector<bool> sliced(static_cast<size_t>(whole.rank()), false);
  for (size_t i = 0; i < axes.size(); ++i) {
    WSI_ASSIGN_OR_RETURN(const int axis, NormalizeAxis(axes[i], whole.rank()));
    const size_t a = static_cast<size_t>(axis);
    if (sliced[a] || steps[i] == 0) return CompileError(launch, "axis twice, or step 0");
    sliced[a] = true;
    if (part[axis] > 0) {
      WSI_ASSIGN_OR_RETURN(const int64_t span, CheckedMul(part[axis] - 1, steps[i]));
      WSI_ASSIGN_OR_RETURN(const int64_t last, CheckedAdd(starts[i], span));
      if (starts[i] < 0 || starts[i] >= whole[axis] || last < 0 || last >= whole[axis]) {
        return CompileError(launch, "slice leaves the tensor " + whole.ToString());
      }
      region.offset += starts[i] * region.strides[a];
    }
    region.strides[a] *= steps[i];
  }
  for (int axis = 0; axis < whole.rank(); ++axis) {
    if (!sliced[static_cast<size_t>(axis)] && part[axis] != whole[axis]) {
      return CompileError(launch, "sizes of an axis that is not sliced differ");
    }
  }
  return region;
}

std::vector<Axis> AxesOf(const Shape& sizes, std::span<const int64_t> from,
                         std::span<const int64_t> to) {
  std::vector<Axis> axes;
  for (size_t i = 0; i < from.size(); ++i) {
    axes.push_back(
        {.size = sizes[static_cast<int>(i)], .from_stride = from[i], .to_stride = to[i]});
  }
  return axes;
}

}  // namespace

KernelResult CompileTranspose(const LaunchSpec& launch, Context& context) {
  WSI_RETURN_IF_ERROR(ExpectOneToOne(launch));
  const Shape& x = launch.inputs[0].shape;
  const Shape& y = launch.outputs[0].shape;
  const auto perm = launch.attributes.Ints("perm");
  std::vector<bool> seen(static_cast<size_t>(x.rank()), false);
  bool fine = perm.size() == seen.size() && y.rank() == x.rank();
  for (size_t i = 0; fine && i < perm.size(); ++i) {
    fine = perm[i] >= 0 && perm[i] < x.rank() && !seen[static_cast<size_t>(perm[i])] &&
           y[static_cast<int>(i)] == x[static_cast<int>(perm[i])];
    if (fine) seen[static_cast<size_t>(perm[i])] = true;
  }
  if (!fine) return CompileError(launch, "perm does not lead from input to output");
  const auto x_strides = RowMajorStrides(x);
  std::vector<int64_t> from;
  from.reserve(perm.size());
  for (const int64_t axis : perm) from.push_back(x_strides[static_cast<size_t>(axis)]);
  const auto axes = AxesOf(y, from, RowMajorStrides(y));
  return MakeCopy(StridedCopy(axes, 0, 0, DTypeBytes(launch.inputs[0].dtype)), context);
}

KernelResult CompileConcat(const LaunchSpec& launch, Context& context) {
  WSI_RETURN_IF_ERROR(ExpectOperands(launch, launch.inputs.size(), launch.inputs.size(), 1, 1));
  const Shape& y = launch.outputs[0].shape;
  const DType dtype = launch.outputs[0].dtype;
  WSI_ASSIGN_OR_RETURN(const int axis, NormalizeAxis(launch.attributes.Int("axis", 0), y.rank()));
  const auto to = RowMajorStrides(y);
  std::vector<StridedCopy> copies;
  int64_t at = 0;
  for (size_t i = 0; i < launch.inputs.size(); ++i) {
    const Shape& x = launch.inputs[i].shape;
    WSI_RETURN_IF_ERROR(ExpectInput(launch, i, dtype));
    bool fine = x.rank() == y.rank();
    for (int d = 0; fine && d < y.rank(); ++d) fine = d == axis || x[d] == y[d];
    if (!fine || at + x[axis] > y[axis]) {
      return CompileError(launch, "input " + x.ToString() + " does not fit " + y.ToString());
    }
    const int64_t offset = at * to[static_cast<size_t>(axis)];
    copies.emplace_back(AxesOf(x, RowMajorStrides(x), to), 0, offset, DTypeBytes(dtype));
    at += x[axis];
  }
  if (at != y[axis]) return CompileError(launch, "inputs do not fill the output");
  return MakeKernel([copies, &context](const LaunchArguments& a) {
    for (size_t i = 0; i < copies.size(); ++i) {
      copies[i].Run(context.pool, a.inputs[i], a.outputs[0]);
    }
  });
}

KernelResult CompileSlice(const LaunchSpec& launch, Context& context) {
  WSI_RETURN_IF_ERROR(ExpectOneToOne(launch));
  const Shape& y = launch.outputs[0].shape;
  WSI_ASSIGN_OR_RETURN(const Region region, SliceRegion(launch, launch.inputs[0].shape, y));
  const auto axes = AxesOf(y, region.strides, RowMajorStrides(y));
  return MakeCopy(StridedCopy(axes, region.offset, 0, DTypeBytes(launch.inputs[0].dtype)), context);
}

KernelResult CompileSliceGrad(const LaunchSpec& launch, Context& context) {
  WSI_RETURN_IF_ERROR(ExpectOneToOne(launch));
  const Shape& dy = launch.inputs[0].shape;
  const DType dtype = launch.inputs[0].dtype;
  WSI_ASSIGN_OR_RETURN(const Shape x, Shape::Make(launch.attributes.Ints("input_shape")));
  WSI_RETURN_IF_ERROR(ExpectOutput(launch, 0, dtype, x));
  WSI_ASSIGN_OR_RETURN(const Region region, SliceRegion(launch, x, dy));
  const auto axes = AxesOf(dy, RowMajorStrides(dy), region.strides);
  const StridedCopy place(axes, 0, region.offset, DTypeBytes(dtype));
  const StridedCopy clear = MakeFill(x, dtype);
  return MakeKernel([place, clear, &context](const LaunchArguments& a) {
    const std::array<std::byte, 8> zero{};
    clear.Run(context.pool, zero.data(), a.outputs[0]);
    place.Run(context.pool, a.inputs[0], a.outputs[0]);
  });
}

KernelResult CompileExpand(const LaunchSpec& launch, Context& context) {
  WSI_RETURN_IF_ERROR(ExpectOneToOne(launch));
  const Shape& x = launch.inputs[0].shape;
  const Shape& y = launch.outputs[0].shape;
  const auto x_strides = RowMajorStrides(x);
  std::vector<int64_t> from(static_cast<size_t>(y.rank()), 0);
  bool fine = x.rank() <= y.rank();
  for (int back = 1; fine && back <= x.rank(); ++back) {
    fine = x[-back] == y[-back] || x[-back] == 1;
    if (x[-back] != 1) {
      from[from.size() - static_cast<size_t>(back)] =
          x_strides[x_strides.size() - static_cast<size_t>(back)];
    }
  }
  if (!fine) return CompileError(launch, "input does not broadcast to the output");
  const auto axes = AxesOf(y, from, RowMajorStrides(y));
  return MakeCopy(StridedCopy(axes, 0, 0, DTypeBytes(launch.inputs[0].dtype)), context);
}

// Constant padding; negative pads crop.
KernelResult CompilePad(const LaunchSpec& launch, Context& context) {
  WSI_RETURN_IF_ERROR(ExpectOneToOne(launch));
  const Shape& x = launch.inputs[0].shape;
  const Shape& y = launch.outputs[0].shape;
  const auto pads = launch.attributes.Ints("pads");
  const size_t rank = static_cast<size_t>(x.rank());
  if (launch.attributes.String("mode", "constant") != "constant" || pads.size() != 2 * rank ||
      y.rank() != x.rank()) {
    return CompileError(launch, "wants mode constant and two pads per axis");
  }
  const auto from = RowMajorStrides(x);
  const auto to = RowMajorStrides(y);
  std::vector<Axis> axes;
  int64_t from_offset = 0;
  int64_t to_offset = 0;
  for (size_t d = 0; d < rank; ++d) {
    const int axis = static_cast<int>(d);
    WSI_ASSIGN_OR_RETURN(const int64_t padded, CheckedAdd(x[axis], pads[d]));
    WSI_ASSIGN_OR_RETURN(const int64_t expected, CheckedAdd(padded, pads[rank + d]));
    if (expected != y[axis]) return CompileError(launch, "pads do not lead to the output");
    const int64_t first = std::max<int64_t>(0, -pads[d]);
    const int64_t last = std::min(x[axis], y[axis] - pads[d]);
    axes.push_back(
        {.size = std::max<int64_t>(0, last - first), .from_stride = from[d], .to_stride = to[d]});
    if (last > first) {
      from_offset += first * from[d];
      to_offset += (first + pads[d]) * to[d];
    }
  }
  const DType dtype = launch.inputs[0].dtype;
  const bool empty =
      std::any_of(axes.begin(), axes.end(), [](const Axis& a) { return a.size == 0; });
  if (empty) axes = {{.size = 0}};
  const StridedCopy place(axes, from_offset, to_offset, DTypeBytes(dtype));
  const StridedCopy fill = MakeFill(y, dtype);
  const auto value = ElementOf(dtype, launch.attributes.Float("value", 0.0));
  return MakeKernel([place, fill, value, &context](const LaunchArguments& a) {
    fill.Run(context.pool, value.data(), a.outputs[0]);
    place.Run(context.pool, a.inputs[0], a.outputs[0]);
  });
}

KernelResult CompileFill(const LaunchSpec& launch, Context& context) {
  WSI_RETURN_IF_ERROR(ExpectOperands(launch, 0, 0, 1, 1));
  const OperandSpec& y = launch.outputs[0];
  const StridedCopy fill = MakeFill(y.shape, y.dtype);
  const auto value = ElementOf(y.dtype, launch.attributes.Float("value", 0.0));
  return MakeKernel([fill, value, &context](const LaunchArguments& a) {
    fill.Run(context.pool, value.data(), a.outputs[0]);
  });
}

}  // namespace wsi::cpu
