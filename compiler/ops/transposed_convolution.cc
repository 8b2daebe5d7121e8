#include "compiler/ops/transposed_convolution.h"

#include <fmt/format.h>

#include "compiler/ops/attribute_check.h"
#include "compiler/ops/band_rules.h"
#include "compiler/ops/cost.h"
#include "compiler/ops/gradient_rules.h"
#include "compiler/ops/operand_check.h"
#include "compiler/ops/spatial.h"

namespace wsi {
namespace {

// The sizes that a convolution with `window` maps to `input`, none of them left over:
//   (input - 1) * stride + dilation * (kernel - 1) + 1 - begin - end.
Result<std::vector<int64_t>> SpreadSizes(const Window& window, std::span<const int64_t> input) {
  std::vector<int64_t> output;
  for (size_t i = 0; i < input.size(); ++i) {
    WSI_ASSIGN_OR_RETURN(int64_t size, CheckedMul(input[i] - 1, window.strides[i]));
    WSI_ASSIGN_OR_RETURN(const int64_t reach,
                         CheckedMul(window.kernel[i] - 1, window.dilations[i]));
    WSI_ASSIGN_OR_RETURN(size, CheckedAdd(size, reach));
    size += 1 - window.begins[i] - window.ends[i];
    if (size < 1) {
      return InvalidInput(
          fmt::format("pads {} and {} leave {} positions of spatial axis {}, wants at least 1",
                      window.begins[i], window.ends[i], size, i));
    }
    output.push_back(size);
  }
  return output;
}

InferredTypes InferConvTranspose(const OpView& op) {
  WSI_RETURN_IF_ERROR(WantFloat(op, 0));
  WSI_RETURN_IF_ERROR(WantSameType(op, 1, 0));
  WSI_ASSIGN_OR_RETURN(const bool channels_last, ChannelsLast(op.attributes()));
  WSI_ASSIGN_OR_RETURN(const Activation x,
                       SplitActivation(op.input_shape(0), channels_last, "the input"));
  WSI_ASSIGN_OR_RETURN(const Activation w,
                       SplitActivation(op.input_shape(1), channels_last, "the weight"));
  if (w.spatial.size() != x.spatial.size()) {
    return InvalidInput(fmt::format("weight {} and input {} differ in rank",
                                    op.input_shape(1).ToString(), op.input_shape(0).ToString()));
  }
  WSI_ASSIGN_OR_RETURN(const Window window,
                       CheckedWindow(op.attributes(), static_cast<int>(x.spatial.size())));
  if (w.spatial != window.kernel) {
    return InvalidInput(fmt::format("weight {} disagrees with attribute kernel_shape {}",
                                    op.input_shape(1).ToString(),
                                    Shape::Make(window.kernel).value().ToString()));
  }
  WSI_ASSIGN_OR_RETURN(const int64_t group, CheckedInt(op.attributes(), "group", 1, kMaxWindow));
  if (x.c % group != 0 || w.n != x.c) {
    return InvalidInput(fmt::format("weight {} has {} input channels, the input {} in {} groups",
                                    op.input_shape(1).ToString(), w.n, x.c, group));
  }
  Activation y{.n = x.n, .c = 0, .spatial = {}};
  WSI_ASSIGN_OR_RETURN(y.c, CheckedMul(w.c, group));
  WSI_ASSIGN_OR_RETURN(y.spatial, SpreadSizes(window, x.spatial));
  WSI_ASSIGN_OR_RETURN(Shape shape, JoinActivation(y, channels_last));
  return std::vector<TensorType>{{op.input(0).dtype, std::move(shape)}};
}

// y is to x what the input of a convolution with w is to its output: dx is that
// convolution of dy, dw its weight gradient with the two in exchanged places.
Status GradConvTranspose(GradBuilder& g) {
  const Attributes attributes = g.op().attributes();
  const ValueId dy = g.OutputGrad(0);
  if (g.WantsInputGrad(0)) {
    WSI_RETURN_IF_ERROR(SetGrad(g, 0, g.Emit("Conv", {dy, g.Input(1)}, attributes)));
  }
  if (!g.WantsInputGrad(1)) return {};
  Attributes of_weight = attributes;
  const Shape& w = g.op().input_shape(1);
  of_weight.Set("weight_shape", std::vector<int64_t>(w.begin(), w.end()));
  return SetGrad(g, 1, g.Emit("ConvWeightGrad", {dy, g.Input(0)}, of_weight));
}

// A multiply-add for every element of x and weight of one of its channels.
Cost ConvTransposeCost(const OpView& op) {
  const Shape& w = op.input_shape(1);
  const double taps = static_cast<double>(w.ElementCount()) / static_cast<double>(w[0]);
  return {2 * static_cast<double>(op.input_shape(0).ElementCount()) * taps, BytesTouched(op)};
}

}  // namespace

constinit const OpDef kConvTranspose = {
    .name = "ConvTranspose",
    .summary =
        "x, w -> y {kernel_shape, strides, dilations, pads (begins, then ends), group, "
        "channels_last=0}; 1 to 3 spatial axes; w is [I, O/group, k...], channels last "
        "[I, k..., O/group]; bias becomes Add, output_padding less end padding",
    .min_inputs = 2,
    .max_inputs = 2,
    .infer = InferConvTranspose,
    .gradient = {.build = GradConvTranspose},
    .cost = ConvTransposeCost,
    .is_matrix = true,
    .half = HalfPolicy::kMatrix,
    .rows = RowKind::kWindow,
    .band = SpreadBand,
    .layout = LayoutRule::kChannelsLast,
    .layout_weight = 1};

}  // namespace wsi
