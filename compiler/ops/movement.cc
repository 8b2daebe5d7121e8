#include "compiler/ops/movement.h"

#include <fmt/format.h>

#include <cstring>
#include <limits>
#include <optional>

#include "compiler/ops/attribute_check.h"
#include "compiler/ops/band_rules.h"
#include "compiler/ops/cost.h"
#include "compiler/ops/evaluate.h"
#include "compiler/ops/gradient_rules.h"
#include "compiler/ops/operand_check.h"

namespace wsi {
namespace {

constexpr int64_t kMaxSize = std::numeric_limits<int64_t>::max();

std::vector<int64_t> SizesOf(const Shape& shape) { return {shape.begin(), shape.end()}; }

// The attributes of a Slice with steps of 1.
Attributes UnitSlice(std::vector<int64_t> axes, std::vector<int64_t> starts,
                     std::vector<int64_t> ends) {
  const std::vector<int64_t> steps(axes.size(), 1);
  return {{"axes", std::move(axes)},
          {"ends", std::move(ends)},
          {"starts", std::move(starts)},
          {"steps", steps}};
}

InferredTypes InferConcat(const OpView& op) {
  const Shape& first = op.input_shape(0);
  WSI_ASSIGN_OR_RETURN(const int axis, CheckedAxis(op.attributes(), "axis", first.rank()));
  std::vector<int64_t> sizes = SizesOf(first);
  int64_t& joined = sizes[static_cast<size_t>(axis)];
  for (int i = 1; i < op.input_count(); ++i) {
    WSI_RETURN_IF_ERROR(WantInput(op, i));
    WSI_RETURN_IF_ERROR(WantSameType(op, i, 0));
    const Shape& shape = op.input_shape(i);
    bool fits = shape.rank() == first.rank();
    for (int k = 0; fits && k < first.rank(); ++k) fits = k == axis || shape[k] == first[k];
    if (!fits) {
      return InvalidInput(fmt::format("input {} has shape {}, wants {} but for axis {}", i,
                                      shape.ToString(), first.ToString(), axis));
    }
    WSI_ASSIGN_OR_RETURN(joined, CheckedAdd(joined, shape[axis]));
  }
  WSI_ASSIGN_OR_RETURN(Shape y, Shape::Make(sizes));
  return std::vector<TensorType>{{op.input(0).dtype, std::move(y)}};
}

InferredTypes InferExpand(const OpView& op) {
  const Shape& x = op.input_shape(0);
  WSI_ASSIGN_OR_RETURN(Shape y, CheckedShape(op.attributes(), "shape"));
  const Result<Shape> stretched = BroadcastShapes(x, y);
  if (!stretched.ok() || *stretched != y) {
    return InvalidInput(
        fmt::format("shape {} does not broadcast to {}", x.ToString(), y.ToString()));
  }
  return std::vector<TensorType>{{op.input(0).dtype, std::move(y)}};
}

InferredTypes InferGather(const OpView& op) {
  const Shape& x = op.input_shape(0);
  WSI_RETURN_IF_ERROR(WantInteger(op, 1));
  WSI_RETURN_IF_ERROR(WantRank(op, 1, 1, 1));
  WSI_ASSIGN_OR_RETURN(const int axis, CheckedAxis(op.attributes(), "axis", x.rank()));
  std::vector<int64_t> sizes = SizesOf(x);
  sizes[static_cast<size_t>(axis)] = op.input_shape(1)[0];
  WSI_ASSIGN_OR_RETURN(Shape y, Shape::Make(sizes));
  return std::vector<TensorType>{{op.input(0).dtype, std::move(y)}};
}

InferredTypes InferPad(const OpView& op) {
  const Shape& x = op.input_shape(0);
  WSI_ASSIGN_OR_RETURN(const std::string mode, CheckedString(op.attributes(), "mode", "constant"));
  if (mode != "constant") {
    return InvalidInput(fmt::format("attribute mode is '{}', wants 'constant'", mode));
  }
  WSI_RETURN_IF_ERROR(CheckedFloat(op.attributes(), "value", 0.0).status());
  WSI_ASSIGN_OR_RETURN(const std::vector<int64_t> pads,
                       CheckedInts(op.attributes(), "pads", 0, kMaxSize, 2 * x.rank()));
  std::vector<int64_t> sizes = SizesOf(x);
  for (size_t i = 0; i < sizes.size(); ++i) {
    WSI_ASSIGN_OR_RETURN(sizes[i], CheckedAdd(sizes[i], pads[i]));
    WSI_ASSIGN_OR_RETURN(sizes[i], CheckedAdd(sizes[i], pads[sizes.size() + i]));
  }
  WSI_ASSIGN_OR_RETURN(Shape y, Shape::Make(sizes));
  return std::vector<TensorType>{{op.input(0).dtype, std::move(y)}};
}

InferredTypes InferReshape(const OpView& op) {
  WSI_ASSIGN_OR_RETURN(Shape y, CheckedShape(op.attributes(), "shape"));
  if (y.ElementCount() != op.input_shape(0).ElementCount()) {
    return InvalidInput(fmt::format("shape {} of {} elements cannot become {} of {}",
                                    op.input_shape(0).ToString(), op.input_shape(0).ElementCount(),
                                    y.ToString(), y.ElementCount()));
  }
  return std::vector<TensorType>{{op.input(0).dtype, std::move(y)}};
}

InferredTypes InferTranspose(const OpView& op) {
  const Shape& x = op.input_shape(0);
  WSI_ASSIGN_OR_RETURN(const std::vector<int64_t> perm,
                       CheckedAxes(op.attributes(), "perm", x.rank()));
  if (static_cast<int>(perm.size()) != x.rank()) {
    return InvalidInput(fmt::format("attribute perm has {} axes, wants {}", perm.size(), x.rank()));
  }
  return std::vector<TensorType>{{op.input(0).dtype, PermuteShape(x, perm)}};
}

Status GradConcat(GradBuilder& g) {
  const int64_t axis = g.op().attributes().Int("axis", 0);
  int64_t begin = 0;
  for (int i = 0; i < g.op().input_count(); ++i) {
    const int64_t end = begin + g.op().input_shape(i)[static_cast<int>(axis)];
    if (g.WantsInputGrad(i)) {
      WSI_RETURN_IF_ERROR(
          SetGrad(g, i, g.Emit("Slice", {g.OutputGrad(0)}, UnitSlice({axis}, {begin}, {end}))));
    }
    begin = end;
  }
  return {};
}

Status GradExpand(GradBuilder& g) { return SetBroadcastGrad(g, 0, g.OutputGrad(0)); }

Status GradGather(GradBuilder& g) {
  if (!g.WantsInputGrad(0)) return {};
  const int64_t axis = g.op().attributes().Int("axis", 0);
  const int64_t size = g.op().input_shape(0)[static_cast<int>(axis)];
  return SetGrad(
      g, 0, g.Emit("GatherGrad", {g.OutputGrad(0), g.Input(1)}, {{"axis", axis}, {"size", size}}));
}

Status GradPad(GradBuilder& g) {
  const Shape x = g.op().input_shape(0);
  const std::vector<int64_t> pads = g.op().attributes().Ints("pads");
  std::vector<int64_t> axes, starts, ends;
  for (int i = 0; i < x.rank(); ++i) {
    const int64_t before = pads[static_cast<size_t>(i)];
    if (before == 0 && pads[static_cast<size_t>(x.rank()) + static_cast<size_t>(i)] == 0) continue;
    axes.push_back(i);
    starts.push_back(before);
    ends.push_back(before + x[i]);
  }
  return SetGrad(g, 0, g.Emit("Slice", {g.OutputGrad(0)}, UnitSlice(axes, starts, ends)));
}

Status GradReshape(GradBuilder& g) {
  return SetGrad(g, 0,
                 g.Emit("Reshape", {g.OutputGrad(0)}, {{"shape", SizesOf(g.op().input_shape(0))}}));
}

Status GradTranspose(GradBuilder& g) {
  const std::vector<int64_t> perm = g.op().attributes().Ints("perm");
  std::vector<int64_t> inverse(perm.size());
  for (size_t i = 0; i < perm.size(); ++i) {
    inverse[static_cast<size_t>(perm[i])] = static_cast<int64_t>(i);
  }
  return SetGrad(g, 0, g.Emit("Transpose", {g.OutputGrad(0)}, {{"perm", inverse}}));
}

// Bytes behind one index of the axes up to `axis`.
size_t InnerBytes(const Shape& shape, int axis, DType dtype) {
  int64_t count = DTypeBytes(dtype);
  for (int i = axis; i < shape.rank(); ++i) count *= shape[i];
  return static_cast<size_t>(count);
}

FoldedTensors FoldConcat(const OpView& op, std::span<const Tensor* const> inputs) {
  WSI_ASSIGN_OR_RETURN(const std::vector<TensorType> types, InferConcat(op));
  WSI_ASSIGN_OR_RETURN(Tensor out, Tensor::Make(types[0].dtype, types[0].shape));
  const int axis = static_cast<int>(op.attributes().Int("axis", 0));
  const size_t row = InnerBytes(out.shape(), axis, out.dtype());
  size_t column = 0;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Tensor& x = Constant(inputs, i);
    const size_t width = InnerBytes(x.shape(), axis, x.dtype());
    if (x.byte_count() == 0) continue;
    for (size_t k = 0; k * row < out.bytes().size(); ++k) {
      std::memcpy(out.bytes().data() + k * row + column, x.bytes().data() + k * width, width);
    }
    column += width;
  }
  return OneTensor(std::move(out));
}

FoldedTensors FoldExpand(const OpView& op, std::span<const Tensor* const> inputs) {
  WSI_ASSIGN_OR_RETURN(const Shape shape, CheckedShape(op.attributes(), "shape"));
  return OneTensor(Stretch(Constant(inputs, 0), shape));
}

FoldedTensors FoldGather(const OpView& op, std::span<const Tensor* const> inputs) {
  const Tensor& x = Constant(inputs, 0);
  WSI_ASSIGN_OR_RETURN(const std::vector<TensorType> types, InferGather(op));
  WSI_ASSIGN_OR_RETURN(Tensor out, Tensor::Make(x.dtype(), types[0].shape));
  const int axis = static_cast<int>(op.attributes().Int("axis", 0));
  const int64_t size = x.shape()[axis];
  std::vector<int64_t> indices = Constant(inputs, 1).ToInts();
  for (int64_t& index : indices) {
    if (index < -size || index >= size) {
      return InvalidInput(fmt::format("index {} is outside axis {} of shape {}", index, axis,
                                      x.shape().ToString()));
    }
    if (index < 0) index += size;
  }
  if (out.byte_count() == 0) return OneTensor(std::move(out));
  const size_t inner = InnerBytes(x.shape(), axis + 1, x.dtype());
  const size_t outer = x.bytes().size() / (inner * static_cast<size_t>(size));
  std::byte* to = out.bytes().data();
  for (size_t k = 0; k < outer; ++k) {
    const std::byte* from = x.bytes().data() + k * inner * static_cast<size_t>(size);
    for (const int64_t index : indices) {
      std::memcpy(to, from + static_cast<size_t>(index) * inner, inner);
      to += inner;
    }
  }
  return OneTensor(std::move(out));
}

FoldedTensors FoldPad(const OpView& op, std::span<const Tensor* const> inputs) {
  const Tensor& x = Constant(inputs, 0);
  WSI_ASSIGN_OR_RETURN(const std::vector<TensorType> types, InferPad(op));
  const Shape& shape = types[0].shape;
  const double value = op.attributes().Float("value", 0);
  WSI_ASSIGN_OR_RETURN(const Tensor scalar,
                       TensorFromDoubles(x.dtype(), Shape(), std::span(&value, 1)));
  WSI_ASSIGN_OR_RETURN(Tensor out, Stretch(scalar, shape));
  const std::vector<int64_t> pads = op.attributes().Ints("pads");
  const std::vector<int64_t> strides = RowMajorStrides(shape);
  int64_t offset = 0;
  for (size_t i = 0; i < strides.size(); ++i) offset += pads[i] * strides[i];
  const auto width = static_cast<size_t>(DTypeBytes(x.dtype()));
  WalkStrided(x.shape().sizes(), strides, offset, [&](size_t i, size_t at) {
    std::memcpy(out.bytes().data() + at * width, x.bytes().data() + i * width, width);
  });
  return OneTensor(std::move(out));
}

FoldedTensors FoldReshape(const OpView& op, std::span<const Tensor* const> inputs) {
  WSI_ASSIGN_OR_RETURN(Shape shape, CheckedShape(op.attributes(), "shape"));
  WSI_ASSIGN_OR_RETURN(Tensor copy, Constant(inputs, 0).Clone());
  return OneTensor(std::move(copy).Reshaped(std::move(shape)));
}

FoldedTensors FoldTranspose(const OpView& op, std::span<const Tensor* const> inputs) {
  return OneTensor(Constant(inputs, 0).Permute(op.attributes().Ints("perm")));
}

constexpr OpDef Movement(std::string_view name, std::string_view summary, InferFunction infer,
                         Gradient gradient, FoldFunction fold, LayoutRule layout,
                         BandFunction band) {
  return {.name = name,
          .summary = summary,
          .infer = infer,
          .gradient = gradient,
          .cost = MoveCost,
          .half = HalfPolicy::kNeutral,
          .rows = RowKind::kMoved,
          .band = band,
          .layout = layout,
          .fold = fold};
}

}  // namespace

constinit const OpDef kConcat = [] {
  OpDef op = Movement("Concat", "x... -> one behind the other along {axis >= 0}", InferConcat,
                      {.build = GradConcat}, FoldConcat, LayoutRule::kAxes, ConcatBand);
  op.max_inputs = -1;
  return op;
}();
constinit const OpDef kExpand =
    Movement("Expand", "x -> x broadcast to {shape: of the result}", InferExpand,
             {.build = GradExpand}, FoldExpand, LayoutRule::kFixed, ExpandBand);
constinit const OpDef kGather = [] {
  OpDef op =
      Movement("Gather",
               "x, indices[M] i64 or i32 (negative: from the back) -> x's slices at the "
               "indices along {axis >= 0}",
               InferGather, {.build = GradGather}, FoldGather, LayoutRule::kAxes, GatherBand);
  op.min_inputs = 2;
  op.max_inputs = 2;
  return op;
}();
constinit const OpDef kPad =
    Movement("Pad", "x -> x with {pads (begins, then ends; every axis, >= 0), value=0} around it",
             InferPad, {.build = GradPad}, FoldPad, LayoutRule::kAxes, PadBand);
constinit const OpDef kReshape = [] {
  OpDef op =
      Movement("Reshape",
               "x -> x under {shape: of the result, every size explicit}, a view; Flatten, "
               "Squeeze and Unsqueeze become this",
               InferReshape, {.build = GradReshape}, FoldReshape, LayoutRule::kFixed, ReshapeBand);
  op.cost = ViewCost;
  op.is_view = true;
  return op;
}();
constinit const OpDef kTranspose =
    Movement("Transpose", "x -> y whose axis i is x's axis {perm}[i]", InferTranspose,
             {.build = GradTranspose}, FoldTranspose, LayoutRule::kAxes, TransposeBand);

Result<Shape> ResolveReshape(const Shape& from, std::span<const int64_t> requested,
                             bool allow_zero) {
  std::vector<int64_t> sizes(requested.begin(), requested.end());
  std::optional<size_t> inferred;
  int64_t known = 1;
  for (size_t i = 0; i < sizes.size(); ++i) {
    if (sizes[i] == -1) {
      if (inferred) return InvalidInput("shape has more than one -1");
      inferred = i;
      continue;
    }
    if (sizes[i] == 0 && !allow_zero) {
      if (i >= static_cast<size_t>(from.rank())) {
        return InvalidInput(fmt::format("shape copies axis {} of shape {}", i, from.ToString()));
      }
      sizes[i] = from[static_cast<int>(i)];
    }
    if (sizes[i] < 0) return InvalidInput(fmt::format("shape has size {}", sizes[i]));
    WSI_ASSIGN_OR_RETURN(known, CheckedMul(known, sizes[i]));
  }
  const int64_t elements = from.ElementCount();
  if (inferred) {
    if (known == 0 || elements % known != 0) {
      return InvalidInput(fmt::format("{} elements of shape {} cannot be divided into rows of {}",
                                      elements, from.ToString(), known));
    }
    sizes[*inferred] = elements / known;
  }
  WSI_ASSIGN_OR_RETURN(Shape shape, Shape::Make(sizes));
  if (shape.ElementCount() != elements) {
    return InvalidInput(fmt::format("shape {} of {} elements cannot become {} of {}",
                                    from.ToString(), elements, shape.ToString(),
                                    shape.ElementCount()));
  }
  return shape;
}

}  // namespace wsi
