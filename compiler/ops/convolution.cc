#include "compiler/ops/convolution.h"

#include <fmt/format.h>

#include "compiler/ops/attribute_check.h"
#include "compiler/ops/band_rules.h"
#include "compiler/ops/cost.h"
#include "compiler/ops/gradient_rules.h"
#include "compiler/ops/operand_check.h"
#include "compiler/ops/spatial.h"

namespace wsi {
namespace {

// The result's shape of a convolution of `x` with `w`, whose attributes and shapes are
// checked here for all three operators.
Result<Shape> ConvShape(const Attributes& attributes, const Shape& x_shape, const Shape& w_shape) {
  WSI_ASSIGN_OR_RETURN(const bool channels_last, ChannelsLast(attributes));
  WSI_ASSIGN_OR_RETURN(const Activation x, SplitActivation(x_shape, channels_last, "the input"));
  WSI_ASSIGN_OR_RETURN(const Activation w, SplitActivation(w_shape, channels_last, "the weight"));
  if (w.spatial.size() != x.spatial.size()) {
    return InvalidInput(fmt::format("weight {} and input {} differ in rank", w_shape.ToString(),
                                    x_shape.ToString()));
  }
  WSI_ASSIGN_OR_RETURN(const Window window,
                       CheckedWindow(attributes, static_cast<int>(x.spatial.size())));
  if (w.spatial != window.kernel) {
    return InvalidInput(fmt::format("weight {} disagrees with attribute kernel_shape {}",
                                    w_shape.ToString(),
                                    Shape::Make(window.kernel).value().ToString()));
  }
  WSI_ASSIGN_OR_RETURN(const int64_t group, CheckedInt(attributes, "group", 1, kMaxWindow));
  if (x.c % group != 0 || w.n % group != 0) {
    return InvalidInput(
        fmt::format("group {} does not divide {} input and {} output channels", group, x.c, w.n));
  }
  if (w.c != x.c / group) {
    return InvalidInput(fmt::format("weight {} has {} input channels per group, wants {} / {}",
                                    w_shape.ToString(), w.c, x.c, group));
  }
  Activation y{.n = x.n, .c = w.n, .spatial = {}};
  WSI_ASSIGN_OR_RETURN(y.spatial, WindowOutput(window, x.spatial));
  return JoinActivation(y, channels_last);
}

InferredTypes InferConv(const OpView& op) {
  WSI_RETURN_IF_ERROR(WantFloat(op, 0));
  WSI_RETURN_IF_ERROR(WantSameType(op, 1, 0));
  WSI_RETURN_IF_ERROR(WantSameType(op, 2, 0));
  WSI_ASSIGN_OR_RETURN(Shape y, ConvShape(op.attributes(), op.input_shape(0), op.input_shape(1)));
  WSI_RETURN_IF_ERROR(WantShape(op, 2, Shape{op.input_shape(1)[0]}));
  return std::vector<TensorType>{{op.input(0).dtype, std::move(y)}};
}

InferredTypes InferConvInputGrad(const OpView& op) {
  WSI_RETURN_IF_ERROR(WantFloat(op, 0));
  WSI_RETURN_IF_ERROR(WantSameType(op, 1, 0));
  WSI_ASSIGN_OR_RETURN(Shape x, CheckedShape(op.attributes(), "input_shape"));
  WSI_ASSIGN_OR_RETURN(const Shape y, ConvShape(op.attributes(), x, op.input_shape(1)));
  WSI_RETURN_IF_ERROR(WantShape(op, 0, y));
  return std::vector<TensorType>{{op.input(0).dtype, std::move(x)}};
}

InferredTypes InferConvWeightGrad(const OpView& op) {
  WSI_RETURN_IF_ERROR(WantFloat(op, 0));
  WSI_RETURN_IF_ERROR(WantSameType(op, 1, 0));
  WSI_ASSIGN_OR_RETURN(Shape w, CheckedShape(op.attributes(), "weight_shape"));
  WSI_ASSIGN_OR_RETURN(const Shape y, ConvShape(op.attributes(), op.input_shape(0), w));
  WSI_RETURN_IF_ERROR(WantShape(op, 1, y));
  return std::vector<TensorType>{{StatisticsType(op.input(0).dtype), std::move(w)}};
}

Attributes WithShape(Attributes attributes, std::string_view name, const Shape& shape) {
  attributes.Set(name, std::vector<int64_t>(shape.begin(), shape.end()));
  return attributes;
}

Status GradConv(GradBuilder& g) {
  const OpView& op = g.op();
  const ValueId dy = g.OutputGrad(0);
  if (g.WantsInputGrad(0)) {
    WSI_RETURN_IF_ERROR(
        SetGrad(g, 0,
                g.Emit("ConvInputGrad", {dy, g.Input(1)},
                       WithShape(op.attributes(), "input_shape", op.input_shape(0)))));
  }
  if (g.WantsInputGrad(1)) {
    WSI_RETURN_IF_ERROR(
        SetGrad(g, 1,
                g.Emit("ConvWeightGrad", {g.Input(0), dy},
                       WithShape(op.attributes(), "weight_shape", op.input_shape(1)))));
  }
  if (!op.HasInput(2) || !g.WantsInputGrad(2)) return {};
  const bool channels_last = op.attributes().Int("channels_last", 0) == 1;
  return SetGrad(g, 2,
                 g.Emit("ReduceSum", {dy},
                        {{"axes", NonChannelAxes(op.output_shape(0).rank(), channels_last)},
                         {"keepdims", int64_t{0}}}));
}

// Every element of y takes a multiply-add per weight of one output channel, in all
// three operators.
Cost CostOf(const OpView& op, const Shape& y, const Shape& w) {
  const double taps = static_cast<double>(w.ElementCount()) / static_cast<double>(w[0]);
  // Depthwise: each output channel has a single input channel.
  const int64_t groups = op.attributes().Int("group", 1);
  const int64_t channels = w[op.attributes().Int("channels_last", 0) == 1 ? -1 : 1];
  return {.flops = 2 * static_cast<double>(y.ElementCount()) * taps,
          .bytes = BytesTouched(op),
          .vector_only = groups > 1 && channels == 1};
}

Cost ConvCost(const OpView& op) { return CostOf(op, op.output_shape(0), op.input_shape(1)); }

Cost ConvInputGradCost(const OpView& op) {
  return CostOf(op, op.input_shape(0), op.input_shape(1));
}

Cost ConvWeightGradCost(const OpView& op) {
  return CostOf(op, op.input_shape(1), op.output_shape(0));
}

}  // namespace

constinit const OpDef kConv = {
    .name = "Conv",
    .summary =
        "x, w, [b] -> y {kernel_shape, strides, dilations, pads (begins, then ends), group, "
        "channels_last=0}; 1 to 3 spatial axes; w is [O, I/group, k...], channels last "
        "[O, k..., I/group]",
    .min_inputs = 2,
    .max_inputs = 3,
    .infer = InferConv,
    .gradient = {.build = GradConv},
    .cost = ConvCost,
    .is_matrix = true,
    .half = HalfPolicy::kMatrix,
    .rows = RowKind::kWindow,
    .band = WindowBand,
    .layout = LayoutRule::kChannelsLast,
    .layout_weight = 1};
constinit const OpDef kConvInputGrad = {
    .name = "ConvInputGrad",
    .is_onnx = false,
    .summary = "dy, w -> dx {Conv's attributes, input_shape: of x}",
    .min_inputs = 2,
    .max_inputs = 2,
    .infer = InferConvInputGrad,
    .gradient = {.none_because = kNoSecondDerivative},
    .cost = ConvInputGradCost,
    .is_matrix = true,
    .half = HalfPolicy::kMatrix,
    .rows = RowKind::kWindow,
    .band = SpreadBand,
    .layout = LayoutRule::kChannelsLast,
    .layout_weight = 1};
constinit const OpDef kConvWeightGrad = {
    .name = "ConvWeightGrad",
    .is_onnx = false,
    .summary = "x, dy -> dw, of at least single precision {Conv's attributes, weight_shape: of w}",
    .min_inputs = 2,
    .max_inputs = 2,
    .infer = InferConvWeightGrad,
    .gradient = {.none_because = kNoSecondDerivative},
    .cost = ConvWeightGradCost,
    .is_matrix = true,
    .half = HalfPolicy::kMatrix,
    .rows = RowKind::kSum,
    .summed_input = 1,
    .band = ConvWeightGradBand,
    .layout = LayoutRule::kChannelsLast};

}  // namespace wsi
