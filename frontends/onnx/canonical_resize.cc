// Resize and Upsample: one Resample for each axis that changes.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>

#include "frontends/onnx/canonical.h"
#include "frontends/onnx/resize_table.h"

namespace wsi {
namespace {

constexpr int64_t kLargest = (int64_t{1} << 31) - 1;

template <typename T>
struct Name {
  std::string_view name;
  T value;
};

template <typename T, size_t kCount>
Result<T> Choice(NodeImport& n, std::string_view attribute, std::string_view otherwise,
                 const Name<T> (&names)[kCount]) {
  const std::string given = n.String(attribute, otherwise);
  std::string allowed;
  for (const Name<T>& name : names) {
    if (name.name == given) return name.value;
    allowed += (allowed.empty() ? "" : ", ") + std::string(name.name);
  }
  return InvalidInput(
      fmt::format("{} is '{}'; allowed are {}", attribute, given.substr(0, 32), allowed));
}

using C = ResizeCoordinates;
constexpr Name<ResizeMode> kModes[] = {{"nearest", ResizeMode::kNearest},
                                       {"linear", ResizeMode::kLinear},
                                       {"cubic", ResizeMode::kCubic}};
constexpr Name<C> kCoordinates[] = {{"half_pixel", C::kHalfPixel},
                                    {"half_pixel_symmetric", C::kHalfPixelSymmetric},
                                    {"pytorch_half_pixel", C::kPytorchHalfPixel},
                                    {"align_corners", C::kAlignCorners},
                                    {"asymmetric", C::kAsymmetric},
                                    {"tf_crop_and_resize", C::kCropAndResize},
                                    // Of opset 11 and 12: half_pixel for nearest.
                                    {"tf_half_pixel_for_nn", C::kHalfPixel}};
constexpr Name<ResizeRounding> kRoundings[] = {{"round_prefer_floor", ResizeRounding::kPreferFloor},
                                               {"round_prefer_ceil", ResizeRounding::kPreferCeil},
                                               {"floor", ResizeRounding::kFloor},
                                               {"ceil", ResizeRounding::kCeil}};

struct Resize {
  std::vector<ResizeAxis> axes;  // Of the input, in order; equal sizes: stays.
  double extrapolation = 0;
};

// The numbers of an operand that is there and not empty.
Result<std::vector<double>> Numbers(NodeImport& n, int i, std::string_view what) {
  if (!n.HasInput(i)) return std::vector<double>();
  WSI_ASSIGN_OR_RETURN(const Tensor* tensor, n.StaticInput(i, what));
  return tensor->ToDoubles();
}

// The axes that operands speak of: all, or attribute axes of opset 18.
Result<std::vector<int>> NamedAxes(NodeImport& n, int rank) {
  std::vector<int> axes(static_cast<size_t>(rank));
  std::iota(axes.begin(), axes.end(), 0);
  if (n.opset() < 18 || !n.HasAttribute("axes")) return axes;
  axes.clear();
  for (const int64_t given : n.Ints("axes")) {
    WSI_ASSIGN_OR_RETURN(const int axis, NormalizeAxis(given, rank));
    if (std::ranges::find(axes, axis) != axes.end()) {
      return InvalidInput(fmt::format("axes names axis {} twice", axis));
    }
    axes.push_back(axis);
  }
  return axes;
}

Status SetScales(const std::vector<double>& scales, const std::vector<int>& named, Resize& resize) {
  for (size_t i = 0; i < named.size(); ++i) {
    ResizeAxis& axis = resize.axes[static_cast<size_t>(named[i])];
    axis.scale = scales[i];
    const double size = std::floor(static_cast<double>(axis.input) * scales[i]);
    if (!(size >= 1 && size <= static_cast<double>(kLargest))) {
      return InvalidInput(
          fmt::format("scale {} of axis {} gives {} positions", scales[i], named[i], size));
    }
    axis.output = static_cast<int64_t>(size);
  }
  return {};
}

// With a policy one scale, the smallest or the largest of those asked for, holds for all.
Status SetSizes(const std::string& policy, const std::vector<double>& sizes,
                const std::vector<int>& named, Resize& resize) {
  std::optional<double> common;
  for (size_t i = 0; i < named.size(); ++i) {
    ResizeAxis& axis = resize.axes[static_cast<size_t>(named[i])];
    if (!(sizes[i] >= 1 && sizes[i] <= static_cast<double>(kLargest))) {
      return InvalidInput(fmt::format("sizes has a {}; allowed are 1 to {}", sizes[i], kLargest));
    }
    axis.output = static_cast<int64_t>(sizes[i]);
    axis.scale = sizes[i] / static_cast<double>(axis.input);
    if (!common) common = axis.scale;
    common = policy == "not_larger" ? std::min(*common, axis.scale) : std::max(*common, axis.scale);
  }
  if (policy == "stretch" || !common) return {};
  if (policy != "not_larger" && policy != "not_smaller") {
    return InvalidInput("keep_aspect_ratio_policy is none of stretch, not_larger, not_smaller");
  }
  for (const int index : named) {
    ResizeAxis& axis = resize.axes[static_cast<size_t>(index)];
    axis.scale = *common;
    axis.output = static_cast<int64_t>(std::floor(*common * static_cast<double>(axis.input) + 0.5));
    axis.output = std::max<int64_t>(axis.output, 1);
  }
  return {};
}

Status SetRegion(const std::vector<double>& roi, const std::vector<int>& named, Resize& resize) {
  if (roi.size() != 2 * named.size()) {
    return InvalidInput(
        fmt::format("roi has {} numbers, {} are needed", roi.size(), 2 * named.size()));
  }
  for (size_t i = 0; i < named.size(); ++i) {
    ResizeAxis& axis = resize.axes[static_cast<size_t>(named[i])];
    axis.roi_start = roi[i];
    axis.roi_end = roi[named.size() + i];
  }
  return {};
}

// Operands are X, roi, scales, sizes from opset 11 on; X, scales before.
Result<Resize> ReadResize(NodeImport& n) {
  WSI_RETURN_IF_ERROR(n.RequireInputs(1));
  const Shape& x = n.InputShape(0);
  ResizeAxis shared;
  const bool old = n.opset() < 11;
  WSI_ASSIGN_OR_RETURN(shared.mode, Choice(n, "mode", "nearest", kModes));
  if (old) {
    shared.coordinates = C::kAsymmetric;
    shared.rounding = ResizeRounding::kFloor;
  } else {
    WSI_ASSIGN_OR_RETURN(shared.coordinates,
                         Choice(n, "coordinate_transformation_mode", "half_pixel", kCoordinates));
    WSI_ASSIGN_OR_RETURN(shared.rounding,
                         Choice(n, "nearest_mode", "round_prefer_floor", kRoundings));
    shared.cubic_coefficient = n.Float("cubic_coeff_a", -0.75);
    shared.exclude_outside = n.Int("exclude_outside", 0) != 0;
  }
  if (n.opset() >= 18) shared.antialias = n.Int("antialias", 0) != 0;
  Resize resize;
  if (!old) resize.extrapolation = n.Float("extrapolation_value", 0);
  for (const int64_t size : x) {
    shared.input = size;
    shared.output = size;
    resize.axes.push_back(shared);
  }
  WSI_ASSIGN_OR_RETURN(const std::vector<int> named, NamedAxes(n, x.rank()));
  WSI_ASSIGN_OR_RETURN(const std::vector<double> scales, Numbers(n, old ? 1 : 2, "scales"));
  WSI_ASSIGN_OR_RETURN(const std::vector<double> sizes, Numbers(n, old ? -1 : 3, "sizes"));
  const std::vector<double>& given = sizes.empty() ? scales : sizes;
  if (given.size() != named.size() || (!sizes.empty() && !scales.empty())) {
    return InvalidInput(fmt::format("scales has {} numbers and sizes {}; one of them must have {}",
                                    scales.size(), sizes.size(), named.size()));
  }
  const std::string policy =
      n.opset() >= 18 ? n.String("keep_aspect_ratio_policy", "stretch") : "stretch";
  WSI_RETURN_IF_ERROR(sizes.empty() ? SetScales(scales, named, resize)
                                    : SetSizes(policy, sizes, named, resize));
  if (shared.coordinates == C::kCropAndResize) {
    WSI_ASSIGN_OR_RETURN(const std::vector<double> roi, Numbers(n, 1, "roi"));
    WSI_RETURN_IF_ERROR(SetRegion(roi, named, resize));
  }
  return resize;
}

// `value` where positions along the axis are read at all, else `extrapolation`.
Result<ValueId> Extrapolated(NodeImport& n, ValueId value, int axis,
                             const std::vector<bool>& outside, double extrapolation) {
  if (std::ranges::none_of(outside, [](bool o) { return o; })) return value;
  std::vector<int64_t> sizes(static_cast<size_t>(n.ShapeOf(value).rank()), 1);
  sizes[static_cast<size_t>(axis)] = static_cast<int64_t>(outside.size());
  WSI_ASSIGN_OR_RETURN(const Shape shape, Shape::Make(sizes));
  WSI_ASSIGN_OR_RETURN(Tensor mask, Tensor::Make(DType::kBool, shape));
  std::ranges::copy(outside, mask.data<uint8_t>().begin());
  const ValueId is_outside = n.state().graph.AddConstant(n.name() + "/outside", std::move(mask));
  WSI_ASSIGN_OR_RETURN(const ValueId number, n.NumberLike(value, extrapolation));
  return n.Emit("Where", {is_outside, number, value});
}

Result<ValueId> Resampled(NodeImport& n, ValueId value, int axis, const ResizeTable& table) {
  const auto output = static_cast<int64_t>(table.outside.size());
  Graph& graph = n.state().graph;
  const Attributes along = {{"axis", int64_t{axis}}};
  if (table.taps == 1) {
    const ValueId list =
        graph.AddConstant(n.name() + "/indices", Tensor::Of<int64_t>({output}, table.indices));
    return n.Emit("Gather", {value, list}, along);
  }
  const Shape shape{output, table.taps};
  const ValueId indices =
      graph.AddConstant(n.name() + "/indices", Tensor::Of<int64_t>(shape, table.indices));
  const ValueId weights =
      graph.AddConstant(n.name() + "/weights", Tensor::Of<double>(shape, table.weights));
  // Kept in f64: rounded once, to the type that they are read in.
  if (graph.value(value).dtype != DType::kF64) graph.value(weights).dtype = DType::kF32;
  return n.Emit("Resample", {value, indices, weights}, along);
}

}  // namespace

Status ImportResize(NodeImport& n) {
  WSI_ASSIGN_OR_RETURN(const Resize resize, ReadResize(n));
  ValueId value = n.Input(0);
  for (size_t i = 0; i < resize.axes.size(); ++i) {
    const ResizeAxis& axis = resize.axes[i];
    const bool crops = axis.coordinates == C::kCropAndResize;
    if (axis.output == axis.input && axis.scale == 1 && !crops) continue;
    if (axis.input < 1) return InvalidInput("its input is empty");
    const ResizeTable table = MakeResizeTable(axis);
    WSI_ASSIGN_OR_RETURN(value, Resampled(n, value, static_cast<int>(i), table));
    WSI_ASSIGN_OR_RETURN(
        value, Extrapolated(n, value, static_cast<int>(i), table.outside, resize.extrapolation));
  }
  n.SetOutput(0, value);
  return {};
}

}  // namespace wsi
