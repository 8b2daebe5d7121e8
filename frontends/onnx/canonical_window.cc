// Convolution and pooling: kernel, strides, dilations and pads made explicit.
#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "frontends/onnx/canonical.h"

namespace wsi {
namespace {

// No real model comes near, and products of two such numbers fit int64_t.
constexpr int64_t kLargest = (int64_t{1} << 31) - 1;

struct Window {
  std::vector<int64_t> kernel;
  std::vector<int64_t> strides;
  std::vector<int64_t> dilations;
  std::vector<int64_t> pads;  // All begins, then all ends.
};

Status CheckList(std::string_view name, const std::vector<int64_t>& list, size_t size,
                 int64_t smallest) {
  if (list.size() != size) {
    return InvalidInput(fmt::format("{} has {} entries, {} are needed", name, list.size(), size));
  }
  for (const int64_t entry : list) {
    if (entry < smallest || entry > kLargest) {
      return InvalidInput(
          fmt::format("{} has a {}; allowed are {} to {}", name, entry, smallest, kLargest));
    }
  }
  return {};
}

// SAME pads so that the output has ceil(size / stride) positions; an odd element of
// padding goes to the end (SAME_UPPER) or the begin (SAME_LOWER).
void PadSame(const Shape& input, bool upper, Window& window) {
  const size_t axes = window.kernel.size();
  for (size_t i = 0; i < axes; ++i) {
    const int64_t size = input[static_cast<int>(i) + 2];
    const int64_t reach = (window.kernel[i] - 1) * window.dilations[i] + 1;
    const int64_t last_start = (CeilDiv(size, window.strides[i]) - 1) * window.strides[i];
    const int64_t total = std::max<int64_t>(last_start + reach - size, 0);
    window.pads[i] = upper ? total / 2 : total - total / 2;
    window.pads[axes + i] = total - window.pads[i];
  }
}

Result<Window> ReadWindow(NodeImport& n, std::vector<int64_t> default_kernel) {
  const Shape& input = n.InputShape(0);
  if (input.rank() < 3) {
    return InvalidInput(fmt::format("input {} has no spatial axes", input.ToString()));
  }
  const size_t axes = static_cast<size_t>(input.rank() - 2);
  const std::vector<int64_t> ones(axes, 1);
  Window window;
  window.kernel = n.Ints("kernel_shape", std::move(default_kernel));
  window.strides = n.Ints("strides", ones);
  window.dilations = n.Ints("dilations", ones);
  window.pads = n.Ints("pads", std::vector<int64_t>(2 * axes, 0));
  WSI_RETURN_IF_ERROR(CheckList("kernel_shape", window.kernel, axes, 1));
  WSI_RETURN_IF_ERROR(CheckList("strides", window.strides, axes, 1));
  WSI_RETURN_IF_ERROR(CheckList("dilations", window.dilations, axes, 1));
  WSI_RETURN_IF_ERROR(CheckList("pads", window.pads, 2 * axes, 0));
  const std::string automatic = n.String("auto_pad", "NOTSET");
  if (automatic == "VALID") {
    std::ranges::fill(window.pads, 0);
  } else if (automatic == "SAME_UPPER" || automatic == "SAME_LOWER") {
    PadSame(input, automatic == "SAME_UPPER", window);
  } else if (automatic != "NOTSET") {
    return InvalidInput("auto_pad is none of NOTSET, VALID, SAME_UPPER, SAME_LOWER");
  }
  return window;
}

Attributes WindowAttributes(Window window) {
  return {{"kernel_shape", std::move(window.kernel)},
          {"strides", std::move(window.strides)},
          {"dilations", std::move(window.dilations)},
          {"pads", std::move(window.pads)}};
}

}  // namespace

Status ImportConv(NodeImport& n) {
  WSI_RETURN_IF_ERROR(n.RequireInputs(2));
  const Shape& weight = n.InputShape(1);
  if (weight.rank() < 3 || weight.rank() != n.InputShape(0).rank()) {
    return InvalidInput(fmt::format("weight {} does not go with input {}", weight.ToString(),
                                    n.InputShape(0).ToString()));
  }
  const std::vector<int64_t> kernel(weight.begin() + 2, weight.end());
  WSI_ASSIGN_OR_RETURN(Window window, ReadWindow(n, kernel));
  if (window.kernel != kernel) {
    return InvalidInput(
        fmt::format("kernel_shape differs from the weight's {}", weight.ToString()));
  }
  Attributes attributes = WindowAttributes(std::move(window));
  attributes.Set("group", n.Int("group", 1));
  return n.Give("Conv", n.inputs(), std::move(attributes));
}

namespace {

// 0, step, 2 step, ... along `axis` of a tensor of rank `rank`, 1 long elsewhere.
Result<ValueId> CountAlong(NodeImport& n, int rank, int axis, int64_t count, int64_t step,
                           int64_t start) {
  std::vector<int64_t> sizes(static_cast<size_t>(rank), 1);
  sizes[static_cast<size_t>(axis)] = count;
  WSI_ASSIGN_OR_RETURN(const Shape shape, Shape::Make(sizes));
  WSI_ASSIGN_OR_RETURN(Tensor tensor, n.NewConstant(DType::kI64, shape));
  for (int64_t i = 0; i < count; ++i) {
    tensor.data<int64_t>()[static_cast<size_t>(i)] = start + i * step;
  }
  return n.state().graph.AddConstant(n.name() + "/count" + std::to_string(axis), std::move(tensor));
}

Result<ValueId> Scaled(NodeImport& n, ValueId value, int64_t by) {
  WSI_ASSIGN_OR_RETURN(const ValueId factor, n.NumberLike(value, static_cast<double>(by)));
  return n.Emit("Mul", {value, factor});
}

// Position `place`, row-major in the window, as positions along its axes, the last first.
Result<std::vector<ValueId>> WindowPositions(NodeImport& n, const Window& window, ValueId place) {
  std::vector<ValueId> positions(window.kernel.size());
  for (size_t i = positions.size(); i-- > 1;) {
    WSI_ASSIGN_OR_RETURN(const ValueId size,
                         n.NumberLike(place, static_cast<double>(window.kernel[i])));
    WSI_ASSIGN_OR_RETURN(positions[i], n.Emit("Mod", {place, size}, {{"fmod", int64_t{0}}}));
    WSI_ASSIGN_OR_RETURN(place, n.Emit("Div", {place, size}));
  }
  positions[0] = place;
  return positions;
}

// MaxPool's Indices from the positions in the windows: where each maximum lies in the
// whole input, its spatial axes row-major or, with storage_order 1, the first running fastest.
Status GiveIndices(NodeImport& n, const Window& window, ValueId place, bool first_fastest) {
  const Shape x = n.InputShape(0);  // Values move while constants are added.
  const Shape y = n.ShapeOf(place);
  const int rank = x.rank();
  WSI_ASSIGN_OR_RETURN(place, n.Emit("Cast", {place}, {{"to", std::string("i64")}}));
  WSI_ASSIGN_OR_RETURN(const std::vector<ValueId> within, WindowPositions(n, window, place));
  std::vector<int64_t> strides(within.size(), 1);
  int64_t plane = 1;
  for (size_t i = 0; i < strides.size(); ++i) {
    const size_t axis = first_fastest ? i : strides.size() - 1 - i;
    strides[axis] = plane;
    plane *= x[static_cast<int>(axis) + 2];
  }
  WSI_ASSIGN_OR_RETURN(ValueId sum, CountAlong(n, rank, 0, x[0], x[1] * plane, 0));
  WSI_ASSIGN_OR_RETURN(const ValueId channel, CountAlong(n, rank, 1, x[1], plane, 0));
  WSI_ASSIGN_OR_RETURN(sum, n.Emit("Add", {sum, channel}));
  for (size_t i = 0; i < within.size(); ++i) {
    const int axis = static_cast<int>(i) + 2;
    WSI_ASSIGN_OR_RETURN(const ValueId start,
                         CountAlong(n, rank, axis, y[axis], window.strides[i] * strides[i],
                                    -window.pads[i] * strides[i]));
    WSI_ASSIGN_OR_RETURN(const ValueId step,
                         Scaled(n, within[i], window.dilations[i] * strides[i]));
    WSI_ASSIGN_OR_RETURN(const ValueId offset, n.Emit("Add", {step, start}));
    WSI_ASSIGN_OR_RETURN(sum, n.Emit("Add", {offset, sum}));
  }
  n.SetOutput(1, sum);
  return {};
}

}  // namespace

Status ImportMaxPool(NodeImport& n) {
  WSI_RETURN_IF_ERROR(n.RequireInputs(1));
  const int64_t order = n.Int("storage_order", 0);
  if (order != 0 && order != 1) {
    return InvalidInput(fmt::format("storage_order is {}; allowed are 0 and 1", order));
  }
  WSI_ASSIGN_OR_RETURN(const Window window, ReadWindow(n, {}));
  Attributes attributes = WindowAttributes(window);
  attributes.Set("ceil_mode", n.Int("ceil_mode", 0));
  const DType dtype = n.InputType(0);
  const bool is_byte = dtype == DType::kU8 || dtype == DType::kI8;  // Which fp32 holds exactly.
  if (!is_byte && !n.WantsOutput(1)) return n.Give("MaxPool", {n.Input(0)}, std::move(attributes));
  ValueId x = n.Input(0);
  if (is_byte) {
    WSI_ASSIGN_OR_RETURN(x, n.Emit("Cast", {x}, {{"to", std::string("f32")}}));
  }
  WSI_ASSIGN_OR_RETURN(const std::vector<ValueId> pooled,
                       n.EmitMany("MaxPool", {x}, std::move(attributes), n.WantsOutput(1) ? 2 : 1));
  if (n.WantsOutput(1)) {
    WSI_RETURN_IF_ERROR(GiveIndices(n, window, pooled[1], order == 1));
  }
  if (is_byte) return n.Give("Cast", {pooled[0]}, {{"to", std::string(DTypeName(dtype))}});
  n.SetOutput(0, pooled[0]);
  return {};
}

Status ImportAveragePool(NodeImport& n) {
  WSI_RETURN_IF_ERROR(n.RequireInputs(1));
  WSI_ASSIGN_OR_RETURN(Window window, ReadWindow(n, {}));
  Attributes attributes = WindowAttributes(std::move(window));
  attributes.Set("ceil_mode", n.Int("ceil_mode", 0));
  attributes.Set("count_include_pad", n.Int("count_include_pad", 0));
  return n.Give("AveragePool", {n.Input(0)}, std::move(attributes));
}

namespace {

// More padding at the end where the rounded up number of windows needs it: the last one
// must begin in the input or the padding before it.
void PadToCeil(const Shape& input, Window& window) {
  const size_t axes = window.kernel.size();
  for (size_t i = 0; i < axes; ++i) {
    const int64_t size = input[static_cast<int>(i) + 2] + window.pads[i];
    const int64_t reach = (window.kernel[i] - 1) * window.dilations[i] + 1;
    const int64_t stride = window.strides[i];
    int64_t positions = CeilDiv(size + window.pads[axes + i] - reach, stride) + 1;
    if ((positions - 1) * stride >= size) --positions;
    const int64_t needed = (positions - 1) * stride + reach - size;
    window.pads[axes + i] = std::max(window.pads[axes + i], needed);
  }
}

// |x|^p
Result<ValueId> EmitPower(NodeImport& n, ValueId x, double p) {
  if (p == 2) return n.Emit("Mul", {x, x});
  WSI_ASSIGN_OR_RETURN(const ValueId magnitude, n.Emit("Abs", {x}));
  if (p == 1) return magnitude;
  WSI_ASSIGN_OR_RETURN(const ValueId exponent, n.NumberLike(x, p));
  return n.Emit("Pow", {magnitude, exponent});
}

}  // namespace

// The p-th root of a convolution of |x|^p with ones, channel by channel.
Status ImportLpPool(NodeImport& n) {
  WSI_RETURN_IF_ERROR(n.RequireInputs(1));
  const auto p = static_cast<double>(n.Int("p", 2));
  if (p < 1) return InvalidInput(fmt::format("p is {}; allowed is 1 and more", p));
  WSI_ASSIGN_OR_RETURN(Window window, ReadWindow(n, {}));
  const int64_t ceil = n.Int("ceil_mode", 0);
  if (ceil != 0 && ceil != 1) {
    return InvalidInput(fmt::format("attribute ceil_mode is {}, wants 0 to 1", ceil));
  }
  if (ceil == 1) PadToCeil(n.InputShape(0), window);
  const int64_t channels = n.InputShape(0)[1];
  std::vector<int64_t> sizes = {channels, 1};
  sizes.insert(sizes.end(), window.kernel.begin(), window.kernel.end());
  WSI_ASSIGN_OR_RETURN(const Shape shape, Shape::Make(sizes));
  WSI_ASSIGN_OR_RETURN(Tensor ones, n.NewConstant(DType::kF64, shape));
  std::ranges::fill(ones.data<double>(), 1.0);
  WSI_ASSIGN_OR_RETURN(ones, ones.Cast(n.InputType(0)));
  const ValueId weight = n.state().graph.AddConstant(n.name() + "/ones", std::move(ones));
  Attributes attributes = WindowAttributes(std::move(window));
  attributes.Set("group", channels);
  WSI_ASSIGN_OR_RETURN(ValueId value, EmitPower(n, n.Input(0), p));
  WSI_ASSIGN_OR_RETURN(value, n.Emit("Conv", {value, weight}, std::move(attributes)));
  return GiveRoot(n, value, p);
}

Status ImportGlobalLpPool(NodeImport& n) {
  WSI_RETURN_IF_ERROR(n.RequireInputs(1));
  const int rank = n.InputShape(0).rank();
  if (rank < 3) {
    return InvalidInput(fmt::format("input {} has no spatial axes", n.InputShape(0).ToString()));
  }
  const auto p = static_cast<double>(n.Int("p", 2));
  if (p < 1) return InvalidInput(fmt::format("p is {}; allowed is 1 and more", p));
  std::vector<int64_t> axes(static_cast<size_t>(rank - 2));
  std::iota(axes.begin(), axes.end(), int64_t{2});
  WSI_ASSIGN_OR_RETURN(ValueId value, EmitPower(n, n.Input(0), p));
  WSI_ASSIGN_OR_RETURN(
      value, n.Emit("ReduceSum", {value}, {{"axes", std::move(axes)}, {"keepdims", int64_t{1}}}));
  return GiveRoot(n, value, p);
}

}  // namespace wsi
