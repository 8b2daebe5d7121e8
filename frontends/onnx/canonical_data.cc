// Operators that move elements: bounds and axes explicit, from the front.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <numeric>

#include "frontends/onnx/canonical.h"

namespace wsi {
namespace {

struct SliceBounds {
  std::vector<int64_t> starts;
  std::vector<int64_t> ends;
  std::vector<int64_t> axes;
  std::vector<int64_t> steps;
};

Attributes SliceAttributes(SliceBounds bounds) {
  return {{"starts", std::move(bounds.starts)},
          {"ends", std::move(bounds.ends)},
          {"axes", std::move(bounds.axes)},
          {"steps", std::move(bounds.steps)}};
}

// `position` from the front, in [low, high].
int64_t ClampBound(int64_t position, int64_t size, int64_t low, int64_t high) {
  if (position < 0) position = position < -size ? low : position + size;
  return std::clamp(position, low, high);
}

// From the operands (opset 10 and later) or attributes, as they stand.
Result<SliceBounds> ReadSlice(NodeImport& n) {
  SliceBounds bounds;
  if (n.opset() < 10) {
    bounds.starts = n.Ints("starts");
    bounds.ends = n.Ints("ends");
    bounds.axes = n.Ints("axes");
  } else {
    WSI_RETURN_IF_ERROR(n.RequireInputs(3));
    WSI_ASSIGN_OR_RETURN(bounds.starts, n.StaticInts(1, "starts"));
    WSI_ASSIGN_OR_RETURN(bounds.ends, n.StaticInts(2, "ends"));
    if (n.HasInput(3)) {
      WSI_ASSIGN_OR_RETURN(bounds.axes, n.StaticInts(3, "axes"));
    }
    if (n.HasInput(4)) {
      WSI_ASSIGN_OR_RETURN(bounds.steps, n.StaticInts(4, "steps"));
    }
  }
  const size_t count = bounds.starts.size();
  if (bounds.axes.empty()) {
    bounds.axes.resize(count);
    std::iota(bounds.axes.begin(), bounds.axes.end(), 0);
  }
  if (bounds.steps.empty()) bounds.steps.assign(count, 1);
  if (bounds.ends.size() != count || bounds.axes.size() != count || bounds.steps.size() != count) {
    return InvalidInput("starts, ends, axes and steps differ in length");
  }
  return bounds;
}

}  // namespace

Status ImportExpand(NodeImport& n) {
  WSI_RETURN_IF_ERROR(n.RequireInputs(2));
  WSI_ASSIGN_OR_RETURN(const std::vector<int64_t> sizes, n.StaticInts(1, "shape"));
  WSI_ASSIGN_OR_RETURN(const Shape asked, Shape::Make(sizes));
  WSI_ASSIGN_OR_RETURN(const Shape shape, BroadcastShapes(n.InputShape(0), asked));
  return n.Give("Expand", {n.Input(0)},
                {{"shape", std::vector<int64_t>(shape.begin(), shape.end())}});
}

Status ImportTranspose(NodeImport& n) {
  WSI_RETURN_IF_ERROR(n.RequireInputs(1));
  std::vector<int64_t> reversed(static_cast<size_t>(n.InputShape(0).rank()));
  std::iota(reversed.rbegin(), reversed.rend(), 0);
  return n.Give("Transpose", {n.Input(0)}, {{"perm", n.Ints("perm", std::move(reversed))}});
}

Status ImportConcat(NodeImport& n) {
  WSI_RETURN_IF_ERROR(n.RequireInputs(std::max(1, n.input_count())));
  WSI_ASSIGN_OR_RETURN(const int axis,
                       NormalizeAxis(n.RequiredInt("axis"), n.InputShape(0).rank()));
  return n.Give("Concat", n.inputs(), {{"axis", int64_t{axis}}});
}

Status ImportSlice(NodeImport& n) {
  WSI_RETURN_IF_ERROR(n.RequireInputs(1));
  const Shape& input = n.InputShape(0);
  WSI_ASSIGN_OR_RETURN(SliceBounds bounds, ReadSlice(n));
  for (size_t i = 0; i < bounds.starts.size(); ++i) {
    WSI_ASSIGN_OR_RETURN(const int axis, NormalizeAxis(bounds.axes[i], input.rank()));
    const int64_t size = input[axis];
    const int64_t step = bounds.steps[i];
    if (step == 0) return InvalidInput("steps has a 0");
    bounds.axes[i] = axis;
    if (step > 0) {
      bounds.starts[i] = ClampBound(bounds.starts[i], size, 0, size);
      bounds.ends[i] = std::max(bounds.starts[i], ClampBound(bounds.ends[i], size, 0, size));
    } else {
      bounds.starts[i] = ClampBound(bounds.starts[i], size, -1, size - 1);
      bounds.ends[i] = std::min(bounds.starts[i], ClampBound(bounds.ends[i], size, -1, size - 1));
    }
    // Beyond the axis any step takes one element; the smallest number cannot be negated.
    bounds.steps[i] = std::clamp(step, -size - 1, size + 1);
  }
  return n.Give("Slice", {n.Input(0)}, SliceAttributes(std::move(bounds)));
}

namespace {

// The sizes of Split's parts: stated, or equal with a smaller last one (opset 18).
Result<std::vector<int64_t>> SplitSizes(NodeImport& n, int64_t size) {
  std::vector<int64_t> sizes;
  if (n.opset() < 13) {
    sizes = n.Ints("split");
  } else if (n.HasInput(1)) {
    WSI_ASSIGN_OR_RETURN(sizes, n.StaticInts(1, "split"));
  }
  const int64_t parts = n.output_count();
  if (n.opset() >= 18 && n.Int("num_outputs", parts) != parts) {
    return InvalidInput(fmt::format("num_outputs differs from its {} outputs", parts));
  }
  if (sizes.empty()) {
    if (parts == 0 || (n.opset() < 18 && size % parts != 0)) {
      return InvalidInput(fmt::format("{} does not split into {} equal parts", size, parts));
    }
    const int64_t each = CeilDiv(size, parts);
    for (int64_t i = 0; i < parts; ++i) {
      sizes.push_back(std::clamp<int64_t>(size - i * each, 0, each));
    }
  }
  int64_t rest = size;
  for (const int64_t part : sizes) {
    if (part < 0 || part > rest) {
      return InvalidInput(fmt::format("split [{}] does not add up to the axis of {}",
                                      fmt::join(sizes, ", "), size));
    }
    rest -= part;
  }
  if (rest != 0 || static_cast<int64_t>(sizes.size()) != parts) {
    return InvalidInput(
        fmt::format("split of {} parts does not add up to axis size {} and {} "
                    "outputs",
                    sizes.size(), size, parts));
  }
  return sizes;
}

}  // namespace

Status ImportSplit(NodeImport& n) {
  WSI_RETURN_IF_ERROR(n.RequireInputs(1));
  WSI_ASSIGN_OR_RETURN(const int axis, NormalizeAxis(n.Int("axis", 0), n.InputShape(0).rank()));
  WSI_ASSIGN_OR_RETURN(const std::vector<int64_t> sizes, SplitSizes(n, n.InputShape(0)[axis]));
  int64_t begin = 0;
  for (size_t i = 0; i < sizes.size(); ++i) {
    const int64_t end = begin + sizes[i];
    if (n.WantsOutput(static_cast<int>(i))) {
      WSI_RETURN_IF_ERROR(n.GiveAt(static_cast<int>(i), "Slice", {n.Input(0)},
                                   SliceAttributes({{begin}, {end}, {axis}, {1}})));
    }
    begin = end;
  }
  return {};
}

namespace {

// Pads of every axis, begins then ends; opset 18 may name axes.
Result<std::vector<int64_t>> ReadPads(NodeImport& n, int rank) {
  if (n.opset() < 11) return n.Ints("pads");
  WSI_RETURN_IF_ERROR(n.RequireInputs(2));
  WSI_ASSIGN_OR_RETURN(std::vector<int64_t> given, n.StaticInts(1, "pads"));
  if (n.opset() < 18 || !n.HasInput(3)) return given;
  WSI_ASSIGN_OR_RETURN(const std::vector<int64_t> axes, n.StaticInts(3, "axes"));
  if (given.size() != 2 * axes.size()) {
    return InvalidInput(fmt::format("pads has {} entries for {} axes", given.size(), axes.size()));
  }
  std::vector<int64_t> pads(2 * static_cast<size_t>(rank));
  for (size_t i = 0; i < axes.size(); ++i) {
    WSI_ASSIGN_OR_RETURN(const int axis, NormalizeAxis(axes[i], rank));
    pads[static_cast<size_t>(axis)] = given[i];
    pads[static_cast<size_t>(axis) + static_cast<size_t>(rank)] = given[axes.size() + i];
  }
  return pads;
}

// The position below `size` that position `i` of the padded axis, counted from the input's
// first, takes its element from.
int64_t SourceOf(std::string_view mode, int64_t i, int64_t size) {
  if (mode == "edge") return std::clamp<int64_t>(i, 0, size - 1);
  if (mode == "wrap") return (i % size + size) % size;
  if (size == 1) return 0;
  const int64_t period = 2 * (size - 1);  // reflect: there and back, the ends once.
  const int64_t within = (i % period + period) % period;
  return within < size ? within : period - within;
}

// Padding that repeats the input's own elements: along each axis a Gather.
Status GiveRepeated(NodeImport& n, ValueId value, std::string_view mode,
                    const std::vector<int64_t>& pads) {
  const int rank = n.ShapeOf(value).rank();
  for (int axis = 0; axis < rank; ++axis) {
    const int64_t size = n.ShapeOf(value)[axis];
    const int64_t before = pads[static_cast<size_t>(axis)];
    const int64_t after = pads[static_cast<size_t>(axis) + static_cast<size_t>(rank)];
    if (before == 0 && after == 0) continue;
    if (size == 0) return InvalidInput(fmt::format("mode {} pads an empty axis {}", mode, axis));
    WSI_ASSIGN_OR_RETURN(int64_t padded, CheckedAdd(size, before));
    WSI_ASSIGN_OR_RETURN(padded, CheckedAdd(padded, after));
    WSI_ASSIGN_OR_RETURN(Tensor list, n.NewConstant(DType::kI64, Shape{padded}));
    for (int64_t i = 0; i < padded; ++i) {
      list.data<int64_t>()[static_cast<size_t>(i)] = SourceOf(mode, i - before, size);
    }
    const ValueId indices = n.state().graph.AddConstant(n.name() + "/source", std::move(list));
    WSI_ASSIGN_OR_RETURN(value, n.Emit("Gather", {value, indices}, {{"axis", int64_t{axis}}}));
  }
  n.SetOutput(0, value);
  return {};
}

}  // namespace

// Negative pads crop: a Slice comes before.
Status ImportPad(NodeImport& n) {
  WSI_RETURN_IF_ERROR(n.RequireInputs(1));
  const Shape& input = n.InputShape(0);
  const int rank = input.rank();
  const std::string mode = n.String("mode", "constant");
  if (mode != "constant" && mode != "edge" && mode != "reflect" && mode != "wrap") {
    return InvalidInput(fmt::format("mode is '{}'; allowed are constant, edge, reflect and wrap",
                                    mode.substr(0, 16)));
  }
  double value = 0;
  if (n.opset() < 11) {
    value = n.Float("value", 0);
  } else if (n.HasInput(2)) {
    WSI_ASSIGN_OR_RETURN(value, n.StaticFloat(2, "constant_value"));
  }
  WSI_ASSIGN_OR_RETURN(std::vector<int64_t> pads, ReadPads(n, rank));
  if (pads.size() != 2 * static_cast<size_t>(rank)) {
    return InvalidInput(fmt::format("pads has {} entries, {} are needed", pads.size(), 2 * rank));
  }
  SliceBounds crop;
  for (int axis = 0; axis < rank; ++axis) {
    int64_t& before = pads[static_cast<size_t>(axis)];
    int64_t& after = pads[static_cast<size_t>(axis) + static_cast<size_t>(rank)];
    const int64_t size = input[axis];
    if (before >= 0 && after >= 0) continue;
    const int64_t cut_before = std::max(-before, int64_t{0});
    const int64_t cut_after = std::max(-after, int64_t{0});
    if (before < -size || after < -size || cut_before + cut_after > size) {
      return InvalidInput(fmt::format("pads cut more than axis {} has", axis));
    }
    crop.axes.push_back(axis);
    crop.starts.push_back(cut_before);
    crop.ends.push_back(size - cut_after);
    crop.steps.push_back(1);
    before = std::max(before, int64_t{0});
    after = std::max(after, int64_t{0});
  }
  ValueId cropped = n.Input(0);
  if (!crop.axes.empty()) {
    WSI_ASSIGN_OR_RETURN(cropped, n.Emit("Slice", {cropped}, SliceAttributes(std::move(crop))));
  }
  if (mode != "constant") return GiveRepeated(n, cropped, mode, pads);
  return n.Give("Pad", {cropped}, {{"pads", std::move(pads)}, {"value", value}});
}

}  // namespace wsi
