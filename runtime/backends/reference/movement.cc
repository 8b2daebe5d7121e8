// Operators that move elements, of any type, without computing on them.
#include <algorithm>
#include <cstring>
#include <limits>

#include "runtime/backends/reference/kernels.h"
#include "runtime/backends/reference/launch_check.h"
#include "runtime/backends/reference/walk.h"

namespace wsi::reference {
namespace {

constexpr int64_t kMost = std::numeric_limits<int64_t>::max();

void CopyElement(std::byte* to, int64_t at, const std::byte* from, int64_t from_at, size_t width) {
  std::memcpy(to + static_cast<size_t>(at) * width, from + static_cast<size_t>(from_at) * width,
              width);
}

// Copies along a walk: position 0 is read, position 1 written.
void CopyWalk(const Walk<2>& walk, const std::byte* from, std::byte* to, size_t width) {
  ForEach(walk,
          [&](const std::array<int64_t, 2>& at) { CopyElement(to, at[1], from, at[0], width); });
}

size_t WidthOf(const LaunchCheck& check) {
  return static_cast<size_t>(DTypeBytes(check.output_type(0)));
}

// The kernel that copies input 0 along `walk`, over zeros where `clear`.
KernelResult CopyKernel(const LaunchCheck& check, const Walk<2>& walk, bool clear) {
  return MakeKernel([walk, clear, width = WidthOf(check),
                     bytes = static_cast<size_t>(check.output(0).ByteCount(check.output_type(0)))](
                        const LaunchArguments& arguments) {
    if (clear) std::memset(arguments.outputs[0], 0, bytes);
    CopyWalk(walk, arguments.inputs[0], arguments.outputs[0], width);
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

KernelResult CompileSameBytes(const LaunchSpec& launch) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("*", "*"));
  check.OutputIs(0, check.input_type(0));
  check.Require(check.input(0).ElementCount() == check.output(0).ElementCount(),
                "input and output differ in size");
  if (launch.op == "Identity") check.OutputIs(0, check.input(0));
  WSI_RETURN_IF_ERROR(check.status());
  const auto bytes = static_cast<size_t>(check.output(0).ByteCount(check.output_type(0)));
  return MakeKernel([bytes](const LaunchArguments& arguments) {
    std::memmove(arguments.outputs[0], arguments.inputs[0], bytes);
  });
}

KernelResult CompileTranspose(const LaunchSpec& launch) {
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
  Walk<2> walk{result.rank(), Sizes(result), {}, {}};
  const AxisArray from = RowMajor(x);
  for (size_t i = 0; i < perm.size(); ++i) {
    walk.strides[0][i] = from[static_cast<size_t>(perm[i])];
  }
  walk.strides[1] = RowMajor(result);
  return CopyKernel(check, walk, false);
}

KernelResult CompileExpand(const LaunchSpec& launch) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("*", "*"));
  const Shape& result = check.output(0);
  check.OutputIs(0, check.input_type(0));
  const Result<Shape> stretched = BroadcastShapes(check.input(0), result);
  check.Require(stretched.ok() && *stretched == result, "the input does not broadcast");
  WSI_RETURN_IF_ERROR(check.status());
  Walk<2> walk{result.rank(), Sizes(result), {}, {}};
  walk.strides = {Broadcast(check.input(0), result), RowMajor(result)};
  return CopyKernel(check, walk, false);
}

KernelResult CompileSlice(const LaunchSpec& launch) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("*", "*"));
  const Region region = ReadSlice(check, check.input(0));
  check.OutputIs(0, region.shape);
  check.OutputIs(0, check.input_type(0));
  WSI_RETURN_IF_ERROR(check.status());
  Walk<2> walk{region.shape.rank(), Sizes(region.shape), {}, {}};
  walk.strides = {region.strides, RowMajor(region.shape)};
  walk.start = {region.start, 0};
  return CopyKernel(check, walk, false);
}

KernelResult CompileSliceGrad(const LaunchSpec& launch) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("*", "*"));
  const Region region = ReadSlice(check, check.output(0));
  check.InputIs(0, region.shape);
  check.OutputIs(0, check.input_type(0));
  WSI_RETURN_IF_ERROR(check.status());
  Walk<2> walk{region.shape.rank(), Sizes(region.shape), {}, {}};
  walk.strides = {RowMajor(region.shape), region.strides};
  walk.start = {0, region.start};
  return CopyKernel(check, walk, true);
}

KernelResult CompilePad(const LaunchSpec& launch) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("F", "F"));
  const Shape& x = check.input(0);
  const Shape& y = check.output(0);
  const auto rank = static_cast<size_t>(x.rank());
  const auto pads = check.Ints("pads", 2 * rank, 0, int64_t{1} << 60);
  const double value = check.Float("value", 0);
  check.Require(check.String("mode", "constant") == "constant", "mode is not constant");
  check.Require(y.rank() == x.rank(), "input and output differ in rank");
  WSI_RETURN_IF_ERROR(check.status());
  Walk<2> walk{x.rank(), Sizes(x), {}, {}};
  walk.strides = {RowMajor(x), RowMajor(y)};
  for (size_t i = 0; i < rank; ++i) {
    const int axis = static_cast<int>(i);
    const int64_t inner = y[axis] - pads[i];  // Before overflow can happen.
    check.Require(inner >= 0 && inner - pads[rank + i] == x[axis],
                  "the output's sizes are not those of the padded input");
    walk.start[1] += pads[i] * walk.strides[1][i];
    WSI_RETURN_IF_ERROR(check.status());
  }
  return MakeKernel([walk, value, count = y.ElementCount()](const LaunchArguments& arguments) {
    std::fill_n(arguments.output<double>(0), count, value);
    CopyWalk(walk, arguments.inputs[0], arguments.outputs[0], sizeof(double));
  });
}

KernelResult CompileConcat(const LaunchSpec& launch) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("*+", "*"));
  const Shape& y = check.output(0);
  const int axis = check.Axis("axis", y.rank());
  WSI_RETURN_IF_ERROR(check.status());
  std::vector<Walk<2>> walks;
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
    Walk<2> walk{y.rank(), Sizes(x), {}, {}};
    walk.strides = {RowMajor(x), RowMajor(y)};
    walk.start = {0, offset * walk.strides[1][static_cast<size_t>(axis)]};
    walks.push_back(walk);
    offset += x[axis];
  }
  check.Require(offset == y[axis], "the inputs do not fill the output");
  WSI_RETURN_IF_ERROR(check.status());
  return MakeKernel([walks, width = WidthOf(check)](const LaunchArguments& arguments) {
    for (size_t i = 0; i < walks.size(); ++i) {
      CopyWalk(walks[i], arguments.inputs[i], arguments.outputs[0], width);
    }
  });
}

}  // namespace wsi::reference
