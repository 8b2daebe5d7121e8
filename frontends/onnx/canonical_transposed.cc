// ConvTranspose: output_shape, output_padding and automatic padding become pads.
// Col2Im: a transposed convolution that puts each entry of a column at its place.
#include <fmt/format.h>

#include <algorithm>

#include "frontends/onnx/canonical.h"

namespace wsi {
namespace {

constexpr int64_t kLargest = (int64_t{1} << 31) - 1;

struct Geometry {
  std::vector<int64_t> kernel;
  std::vector<int64_t> strides;
  std::vector<int64_t> dilations;
  std::vector<int64_t> begins;
  std::vector<int64_t> ends;  // Below 0: so many positions of zeros more.
};

Result<std::vector<int64_t>> ReadList(NodeImport& n, std::string_view name, size_t size,
                                      int64_t otherwise, int64_t smallest) {
  std::vector<int64_t> list = n.Ints(name, std::vector<int64_t>(size, otherwise));
  if (list.size() != size) {
    return InvalidInput(fmt::format("{} has {} entries, {} are needed", name, list.size(), size));
  }
  for (const int64_t entry : list) {
    if (entry >= smallest && entry <= kLargest) continue;
    return InvalidInput(
        fmt::format("{} has a {}; allowed are {} to {}", name, entry, smallest, kLargest));
  }
  return list;
}

// Sizes of the result without padding: stride * (input - 1) + dilation * (kernel - 1) + 1.
int64_t FullSize(const Geometry& g, const Shape& x, size_t i) {
  return g.strides[i] * (x[static_cast<int>(i) + 2] - 1) + g.dilations[i] * (g.kernel[i] - 1) + 1;
}

// Pads that lead to sizes given by output_shape or, with SAME, by input * stride. The odd
// one is at the end with SAME_UPPER, else at the begin.
Status PadToSizes(NodeImport& n, const std::vector<int64_t>& padding, bool upper, Geometry& g) {
  const Shape& x = n.InputShape(0);
  const size_t axes = g.kernel.size();
  std::vector<int64_t> sizes = n.Ints("output_shape");
  if (sizes.size() == axes + 2) sizes.erase(sizes.begin(), sizes.begin() + 2);
  if (sizes.empty()) {
    for (size_t i = 0; i < axes; ++i) {
      sizes.push_back(x[static_cast<int>(i) + 2] * g.strides[i]);
    }
  }
  if (sizes.size() != axes) {
    return InvalidInput(
        fmt::format("output_shape has {} entries, {} are needed", sizes.size(), axes));
  }
  for (size_t i = 0; i < axes; ++i) {
    if (sizes[i] < 1 || sizes[i] > kLargest) {
      return InvalidInput(
          fmt::format("output_shape has a {}; allowed are 1 to {}", sizes[i], kLargest));
    }
    const int64_t total = FullSize(g, x, i) + padding[i] - sizes[i];
    const int64_t half = std::max<int64_t>(total, 0) / 2;
    g.begins[i] = upper ? half : std::max<int64_t>(total, 0) - half;
    g.ends[i] = total - g.begins[i];
  }
  return {};
}

Result<Geometry> ReadGeometry(NodeImport& n) {
  const Shape& weight = n.InputShape(1);
  const auto axes = static_cast<size_t>(weight.rank() - 2);
  Geometry g;
  g.kernel.assign(weight.begin() + 2, weight.end());
  if (n.Ints("kernel_shape", g.kernel) != g.kernel) {
    return InvalidInput(
        fmt::format("kernel_shape differs from the weight's {}", weight.ToString()));
  }
  WSI_ASSIGN_OR_RETURN(g.strides, ReadList(n, "strides", axes, 1, 1));
  WSI_ASSIGN_OR_RETURN(g.dilations, ReadList(n, "dilations", axes, 1, 1));
  WSI_ASSIGN_OR_RETURN(const auto padding, ReadList(n, "output_padding", axes, 0, 0));
  WSI_ASSIGN_OR_RETURN(const auto pads, ReadList(n, "pads", 2 * axes, 0, 0));
  g.begins.assign(pads.begin(), pads.begin() + static_cast<int64_t>(axes));
  g.ends.assign(pads.begin() + static_cast<int64_t>(axes), pads.end());
  const std::string automatic = n.String("auto_pad", "NOTSET");
  const bool same = automatic == "SAME_UPPER" || automatic == "SAME_LOWER";
  if (!same && automatic != "VALID" && automatic != "NOTSET") {
    return InvalidInput("auto_pad is none of NOTSET, VALID, SAME_UPPER, SAME_LOWER");
  }
  if (same || n.HasAttribute("output_shape")) {
    WSI_RETURN_IF_ERROR(PadToSizes(n, padding, automatic == "SAME_UPPER", g));
  } else if (automatic == "VALID") {
    std::ranges::fill(g.begins, 0);
    std::ranges::fill(g.ends, 0);
  }
  for (size_t i = 0; i < axes; ++i) g.ends[i] -= padding[i];
  return g;
}

// `value` with zeros behind it where `ends` is negative.
Result<ValueId> Extended(NodeImport& n, ValueId value, const std::vector<int64_t>& ends) {
  if (std::ranges::none_of(ends, [](int64_t end) { return end < 0; })) return value;
  const size_t rank = ends.size() + 2;
  std::vector<int64_t> pads(2 * rank, 0);
  for (size_t i = 0; i < ends.size(); ++i) pads[rank + 2 + i] = std::max<int64_t>(-ends[i], 0);
  return n.Emit("Pad", {value}, {{"pads", std::move(pads)}, {"value", 0.0}});
}

}  // namespace

Status ImportConvTranspose(NodeImport& n) {
  WSI_RETURN_IF_ERROR(n.RequireInputs(2));
  const Shape& weight = n.InputShape(1);
  if (weight.rank() < 3 || weight.rank() != n.InputShape(0).rank()) {
    return InvalidInput(fmt::format("weight {} does not go with input {}", weight.ToString(),
                                    n.InputShape(0).ToString()));
  }
  WSI_ASSIGN_OR_RETURN(const Geometry g, ReadGeometry(n));
  std::vector<int64_t> pads = g.begins;
  for (const int64_t end : g.ends) pads.push_back(std::max<int64_t>(end, 0));
  WSI_ASSIGN_OR_RETURN(ValueId value, n.Emit("ConvTranspose", {n.Input(0), n.Input(1)},
                                             {{"kernel_shape", g.kernel},
                                              {"strides", g.strides},
                                              {"dilations", g.dilations},
                                              {"pads", std::move(pads)},
                                              {"group", n.Int("group", 1)}}));
  WSI_ASSIGN_OR_RETURN(value, Extended(n, value, g.ends));
  if (!n.HasInput(2)) {
    n.SetOutput(0, value);
    return {};
  }
  const Shape& y = n.ShapeOf(value);
  if (n.InputShape(2) != Shape({y[1]})) {
    return InvalidInput(
        fmt::format("bias is {}, the result has {} channels", n.InputShape(2).ToString(), y[1]));
  }
  std::vector<int64_t> column(static_cast<size_t>(y.rank() - 1), 1);
  column[0] = y[1];
  WSI_ASSIGN_OR_RETURN(const ValueId bias, n.Emit("Reshape", {n.Input(2)}, {{"shape", column}}));
  return n.Give("Add", {value, bias});
}

namespace {

// Attribute and operand entries of Col2Im; `blocks` gets the number of positions on each axis.
Result<Geometry> ReadColumns(NodeImport& n, const std::vector<int64_t>& image,
                             std::vector<int64_t>& blocks) {
  Geometry g;
  WSI_ASSIGN_OR_RETURN(g.kernel, n.StaticInts(2, "block_shape"));
  const size_t axes = image.size();
  if (g.kernel.size() != axes || axes == 0 || axes > 3) {
    return InvalidInput(
        fmt::format("image_shape has {} entries, block_shape {}; allowed are 1 to "
                    "3, as many in each",
                    axes, g.kernel.size()));
  }
  WSI_ASSIGN_OR_RETURN(g.strides, ReadList(n, "strides", axes, 1, 1));
  WSI_ASSIGN_OR_RETURN(g.dilations, ReadList(n, "dilations", axes, 1, 1));
  WSI_ASSIGN_OR_RETURN(const auto pads, ReadList(n, "pads", 2 * axes, 0, 0));
  g.begins.assign(pads.begin(), pads.begin() + static_cast<int64_t>(axes));
  for (size_t i = 0; i < axes; ++i) {
    if (std::min(image[i], g.kernel[i]) < 1 || std::max(image[i], g.kernel[i]) > kLargest) {
      return InvalidInput(
          fmt::format("axis {} has size {} in image_shape and {} in block_shape; "
                      "allowed are 1 to {}",
                      i, image[i], g.kernel[i], kLargest));
    }
    WSI_ASSIGN_OR_RETURN(const int64_t reach, CheckedMul(g.dilations[i], g.kernel[i] - 1));
    const int64_t padded = image[i] + pads[i] + pads[axes + i];
    if (reach >= padded) {
      return InvalidInput(
          fmt::format("a block of {} with dilation {} does not fit the padded "
                      "image's {} on axis {}",
                      g.kernel[i], g.dilations[i], padded, i));
    }
    blocks.push_back((padded - reach - 1) / g.strides[i] + 1);
    g.ends.push_back((blocks[i] - 1) * g.strides[i] + reach + 1 - pads[i] - image[i]);
  }
  return g;
}

// [channels * entries, 1, kernel...]: input channel c * entries + e is a one at place e.
Result<ValueId> OnePerEntry(NodeImport& n, int64_t channels, int64_t entries,
                            const std::vector<int64_t>& kernel) {
  WSI_ASSIGN_OR_RETURN(const int64_t rows, CheckedMul(channels, entries));
  WSI_ASSIGN_OR_RETURN(const int64_t count, CheckedMul(rows, entries));
  const int64_t most = n.state().options.max_folded_bytes / static_cast<int64_t>(sizeof(double));
  if (count > most) {
    return InvalidInput(
        fmt::format("{} channels of blocks of {} entries need a kernel of {} "
                    "elements; allowed are {}",
                    channels, entries, count, most));
  }
  std::vector<int64_t> sizes = {rows, 1};
  sizes.insert(sizes.end(), kernel.begin(), kernel.end());
  WSI_ASSIGN_OR_RETURN(const Shape shape, Shape::Make(sizes));
  WSI_ASSIGN_OR_RETURN(Tensor weight, Tensor::Make(DType::kF64, shape));
  const std::span<double> values = weight.data<double>();
  for (int64_t row = 0; row < rows; ++row) {
    values[static_cast<size_t>(row * entries + row % entries)] = 1;
  }
  WSI_ASSIGN_OR_RETURN(weight, weight.Cast(n.InputType(0)));
  return n.state().graph.AddConstant(n.name() + "/places", std::move(weight));
}

}  // namespace

// Columns [N, C * entries of a block, positions] added up in an image [N, C, image_shape...].
Status ImportCol2Im(NodeImport& n) {
  WSI_RETURN_IF_ERROR(n.RequireInputs(3));
  WSI_ASSIGN_OR_RETURN(const std::vector<int64_t> image, n.StaticInts(1, "image_shape"));
  std::vector<int64_t> blocks;
  WSI_ASSIGN_OR_RETURN(const Geometry g, ReadColumns(n, image, blocks));
  const Shape x = n.InputShape(0);
  int64_t entries = 1;
  int64_t positions = 1;
  for (size_t i = 0; i < image.size(); ++i) {
    WSI_ASSIGN_OR_RETURN(entries, CheckedMul(entries, g.kernel[i]));
    WSI_ASSIGN_OR_RETURN(positions, CheckedMul(positions, blocks[i]));
  }
  if (x.rank() != 3 || x[1] < 1 || x[1] % entries != 0 || x[2] != positions) {
    return InvalidInput(
        fmt::format("input is {}; needed is [N, channels x {} entries of a block, "
                    "{} positions of it]",
                    x.ToString(), entries, positions));
  }
  const int64_t channels = x[1] / entries;
  WSI_ASSIGN_OR_RETURN(const ValueId weight, OnePerEntry(n, channels, entries, g.kernel));
  std::vector<int64_t> shape = {x[0], x[1]};
  shape.insert(shape.end(), blocks.begin(), blocks.end());
  WSI_ASSIGN_OR_RETURN(ValueId value, n.Emit("Reshape", {n.Input(0)}, {{"shape", shape}}));
  std::vector<int64_t> pads = g.begins;
  for (const int64_t end : g.ends) pads.push_back(std::max<int64_t>(end, 0));
  WSI_ASSIGN_OR_RETURN(value, n.Emit("ConvTranspose", {value, weight},
                                     {{"kernel_shape", g.kernel},
                                      {"strides", g.strides},
                                      {"dilations", g.dilations},
                                      {"pads", std::move(pads)},
                                      {"group", channels}}));
  WSI_ASSIGN_OR_RETURN(value, Extended(n, value, g.ends));
  n.SetOutput(0, value);
  return {};
}

}  // namespace wsi
