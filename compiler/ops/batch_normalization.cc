#include "compiler/ops/batch_normalization.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "compiler/ops/attribute_check.h"
#include "compiler/ops/band_rules.h"
#include "compiler/ops/cost.h"
#include "compiler/ops/gradient_rules.h"
#include "compiler/ops/operand_check.h"
#include "compiler/ops/spatial.h"
#include "runtime/base/band.h"

namespace wsi {
namespace {

constexpr int kMaxRank = 5;

// Checks the activation `i` and the attributes; the type of per-channel operands.
Result<TensorType> ChannelType(const OpView& op, int i) {
  WSI_RETURN_IF_ERROR(WantFloat(op, i));
  WSI_RETURN_IF_ERROR(WantRank(op, i, 2, kMaxRank));
  WSI_ASSIGN_OR_RETURN(const bool channels_last, ChannelsLast(op.attributes()));
  const Shape& shape = op.input_shape(i);
  if (shape.ElementCount() == 0) {
    return InvalidInput(
        fmt::format("input {} has shape {}, wants sizes of at least 1", i, shape.ToString()));
  }
  return TensorType{StatisticsType(op.input(i).dtype),
                    Shape{shape[ChannelAxis(shape.rank(), channels_last)]}};
}

Status WantChannels(const OpView& op, const TensorType& type, std::initializer_list<int> inputs) {
  for (const int i : inputs) {
    WSI_RETURN_IF_ERROR(WantType(op, i, type.dtype));
    WSI_RETURN_IF_ERROR(WantShape(op, i, type.shape));
  }
  return {};
}

// Input i is an activation of the type of input 0.
Status WantLikeFirst(const OpView& op, int i) {
  WSI_RETURN_IF_ERROR(WantSameType(op, i, 0));
  return WantSameShape(op, i, 0);
}

Status WantEpsilon(const OpView& op) {
  return CheckedFloat(op.attributes(), "epsilon", {}, 0.0, 1e9).status();
}

// Attribute relu, for which gradients need the forward result as input `y` or what it was
// made of: x, which they have, and the inputs `made_of`.
Status WantRelu(const OpView& op, int y, std::initializer_list<int> made_of = {}) {
  WSI_ASSIGN_OR_RETURN(const bool relu, CheckedFlag(op.attributes(), "relu", false));
  const auto given = [&](int i) { return op.HasInput(i); };
  if (relu && (made_of.size() == 0 || !std::all_of(made_of.begin(), made_of.end(), given))) {
    WSI_RETURN_IF_ERROR(WantInput(op, y));
  }
  return WantLikeFirst(op, y);
}

InferredTypes InferBatchNormStats(const OpView& op) {
  WSI_ASSIGN_OR_RETURN(const TensorType channels, ChannelType(op, 0));
  return std::vector<TensorType>{channels, channels};
}

InferredTypes InferBatchNormTrain(const OpView& op) {
  WSI_ASSIGN_OR_RETURN(const TensorType channels, ChannelType(op, 0));
  WSI_RETURN_IF_ERROR(WantChannels(op, channels, {1, 2}));
  WSI_RETURN_IF_ERROR(WantEpsilon(op));
  return std::vector<TensorType>{TypeOf(op.input(0)), channels, channels};
}

InferredTypes InferBatchNormApply(const OpView& op) {
  WSI_ASSIGN_OR_RETURN(const TensorType channels, ChannelType(op, 0));
  WSI_RETURN_IF_ERROR(WantChannels(op, channels, {1, 2, 3, 4}));
  WSI_RETURN_IF_ERROR(WantLikeFirst(op, 5));
  WSI_RETURN_IF_ERROR(WantEpsilon(op));
  WSI_RETURN_IF_ERROR(CheckedFlag(op.attributes(), "relu", false).status());
  return SameAsInput(op);
}

InferredTypes InferBatchNormGradStats(const OpView& op) {
  WSI_ASSIGN_OR_RETURN(const TensorType channels, ChannelType(op, 0));
  WSI_RETURN_IF_ERROR(WantLikeFirst(op, 1));
  WSI_RETURN_IF_ERROR(WantChannels(op, channels, {2, 3, 5, 6}));
  WSI_RETURN_IF_ERROR(WantEpsilon(op));
  WSI_RETURN_IF_ERROR(WantRelu(op, 4, {5, 6}));
  WSI_RETURN_IF_ERROR(WantLikeFirst(op, 7));
  return std::vector<TensorType>{channels, channels, TypeOf(op.input(0))};
}

InferredTypes InferBatchNormGradApply(const OpView& op) {
  WSI_ASSIGN_OR_RETURN(const TensorType channels, ChannelType(op, 0));
  WSI_RETURN_IF_ERROR(WantLikeFirst(op, 1));
  WSI_RETURN_IF_ERROR(WantChannels(op, channels, {2, 3, 4, 5, 6, 8}));
  WSI_RETURN_IF_ERROR(WantEpsilon(op));
  WSI_RETURN_IF_ERROR(WantRelu(op, 7, {8}));
  WSI_RETURN_IF_ERROR(BandOfWhole::Read(op.attributes(), op.input_shape(0)).status());
  return SameAsInput(op);
}

InferredTypes InferBatchNormGradFrozen(const OpView& op) {
  WSI_ASSIGN_OR_RETURN(const TensorType channels, ChannelType(op, 0));
  WSI_RETURN_IF_ERROR(WantChannels(op, channels, {1, 2}));
  WSI_RETURN_IF_ERROR(WantEpsilon(op));
  WSI_RETURN_IF_ERROR(WantRelu(op, 3));
  return SameAsInput(op);
}

InferredTypes InferBatchNormalization(const OpView& op) {
  WSI_ASSIGN_OR_RETURN(const TensorType channels, ChannelType(op, 0));
  WSI_RETURN_IF_ERROR(WantChannels(op, channels, {1, 2, 3, 4}));
  WSI_RETURN_IF_ERROR(CheckedFloat(op.attributes(), "epsilon", 1e-5, 0.0, 1e9).status());
  WSI_RETURN_IF_ERROR(CheckedFloat(op.attributes(), "momentum", 0.9, 0.0, 1.0).status());
  WSI_RETURN_IF_ERROR(CheckedFlag(op.attributes(), "training_mode", false).status());
  return std::vector<TensorType>{TypeOf(op.input(0)), channels, channels};
}

InferredTypes InferMovingAverage(const OpView& op) {
  WSI_RETURN_IF_ERROR(WantFloat(op, 0));
  WSI_RETURN_IF_ERROR(WantLikeFirst(op, 1));
  WSI_RETURN_IF_ERROR(CheckedFloat(op.attributes(), "momentum", {}, 0.0, 1.0).status());
  return SameAsInput(op);
}

Status GradBatchNormTrain(GradBuilder& g) {
  WSI_RETURN_IF_ERROR(OnlyFirstOutput(g));
  const ValueId dy = g.OutputGrad(0);
  if (!dy.valid()) return {};
  const ValueId x = g.Input(0);
  const ValueId mean = g.Output(1);
  const ValueId var = g.Output(2);
  const Attributes attributes = g.op().attributes();
  WSI_ASSIGN_OR_RETURN(const std::vector<ValueId> sums,
                       g.EmitMany("BatchNormGradStats", {dy, x, mean, var}, attributes, 2));
  if (g.WantsInputGrad(1)) g.SetInputGrad(1, sums[0]);
  if (g.WantsInputGrad(2)) g.SetInputGrad(2, sums[1]);
  if (!g.WantsInputGrad(0)) return {};
  return SetGrad(
      g, 0,
      g.Emit("BatchNormGradApply", {dy, x, g.Input(1), mean, var, sums[0], sums[1]}, attributes));
}

// Statistics are constants here: dx = dz * scale / sqrt(var + epsilon), while scale and
// bias have the gradients that they have in training.
Status GradBatchNormApply(GradBuilder& g) {
  if (g.WantsInputGrad(3) || g.WantsInputGrad(4)) {
    return InvalidInput(
        fmt::format("BatchNormApply '{}': its mean and variance are taken as constants, but they "
                    "depend on something trainable",
                    g.op().name()));
  }
  const Attributes attributes = g.op().attributes();
  const bool relu = attributes.Int("relu", 0) == 1;
  const ValueId dy = g.OutputGrad(0);
  const auto with_y = [&](std::vector<ValueId> inputs) {
    if (relu) inputs.push_back(g.Output(0));
    return inputs;
  };
  if (g.WantsInputGrad(0)) {
    WSI_RETURN_IF_ERROR(SetGrad(
        g, 0, g.Emit("BatchNormGradFrozen", with_y({dy, g.Input(1), g.Input(4)}), attributes)));
  }
  if (g.WantsInputGrad(1) || g.WantsInputGrad(2)) {
    std::vector<ValueId> inputs = {dy, g.Input(0), g.Input(3), g.Input(4)};
    if (g.op().HasInput(5)) {
      inputs = with_y(std::move(inputs));
    } else if (relu) {
      inputs.insert(inputs.end(), {ValueId{}, g.Input(1), g.Input(2)});
    }
    WSI_ASSIGN_OR_RETURN(const std::vector<ValueId> sums,
                         g.EmitMany("BatchNormGradStats", std::move(inputs), attributes, 2));
    if (g.WantsInputGrad(1)) g.SetInputGrad(1, sums[0]);
    if (g.WantsInputGrad(2)) g.SetInputGrad(2, sums[1]);
  }
  if (!g.op().HasInput(5) || !g.WantsInputGrad(5)) return {};
  return SetGrad(g, 5, relu ? g.Emit("ReluGrad", {dy, g.Output(0)}) : dy);
}

Cost BatchNormCost(const OpView& op) { return ElementCost(op, 0, 4); }
Cost BatchNormTrainCost(const OpView& op) { return ElementCost(op, 0, 8); }

constexpr int kTrainFloat32[] = {1, 2};
constexpr int kApplyFloat32[] = {1, 2, 3, 4};
constexpr int kGradStatsFloat32[] = {2, 3, 5, 6};
constexpr int kGradApplyFloat32[] = {2, 3, 4, 5, 6, 8};
constexpr int kGradFrozenFloat32[] = {1, 2};

constexpr std::pair<int, int> kApplyInPlace[] = {{0, 0}, {0, 5}};
constexpr std::pair<int, int> kGradStatsInPlace[] = {{2, 0}, {2, 7}};
constexpr std::pair<int, int> kGradApplyInPlace[] = {{0, 0}, {0, 1}, {0, 7}};
constexpr std::pair<int, int> kGradFrozenInPlace[] = {{0, 0}, {0, 3}};
constexpr std::pair<int, int> kOverOld[] = {{0, 0}};

}  // namespace

constinit const OpDef kBatchNormApply = {
    .name = "BatchNormApply",
    .is_onnx = false,
    .summary =
        "x, scale, bias, mean, var, [residual] -> (x - mean) * scale / sqrt(var + epsilon) + "
        "bias + residual, then max(., 0) where relu {epsilon, relu=0, channels_last=0}",
    .min_inputs = 5,
    .max_inputs = 6,
    .infer = InferBatchNormApply,
    .gradient = {.build = GradBatchNormApply},
    .cost = BatchNormCost,
    .half = HalfPolicy::kMatrix,
    .float32_inputs = kApplyFloat32,
    .band = ChannelwiseBand,
    .layout = LayoutRule::kChannelsLast,
    .in_place = kApplyInPlace};
constinit const OpDef kBatchNormGradApply = {
    .name = "BatchNormGradApply",
    .is_onnx = false,
    .summary =
        "dy, x, scale, mean, var, dscale, dbias, [y], [bias] -> dx = scale / sqrt(var + epsilon) "
        "* (dz - dbias / m - xhat * dscale / m); dz = dy * (y > 0) where relu, else dy; without "
        "y, y = xhat * scale + bias {epsilon, relu=0, channels_last=0}",
    .min_inputs = 7,
    .max_inputs = 9,
    .infer = InferBatchNormGradApply,
    .gradient = {.none_because = kNoSecondDerivative},
    .cost = BatchNormCost,
    .half = HalfPolicy::kMatrix,
    .float32_inputs = kGradApplyFloat32,
    .band = NumberedChannelwiseBand,
    .layout = LayoutRule::kChannelsLast,
    .in_place = kGradApplyInPlace};
constinit const OpDef kBatchNormGradFrozen = {
    .name = "BatchNormGradFrozen",
    .is_onnx = false,
    .summary =
        "dy, scale, var, [y] -> dx = dz * scale / sqrt(var + epsilon); dz = dy * (y > 0) "
        "where relu, else dy {epsilon, relu=0, channels_last=0}",
    .min_inputs = 3,
    .max_inputs = 4,
    .infer = InferBatchNormGradFrozen,
    .gradient = {.none_because = kNoSecondDerivative},
    .cost = BatchNormCost,
    .half = HalfPolicy::kMatrix,
    .float32_inputs = kGradFrozenFloat32,
    .band = ChannelwiseBand,
    .layout = LayoutRule::kChannelsLast,
    .in_place = kGradFrozenInPlace};
constinit const OpDef kBatchNormGradStats = {
    .name = "BatchNormGradStats",
    .is_onnx = false,
    .summary =
        "dy, x, mean, var, [y], [scale], [bias], [addend] -> dscale = sum dz * xhat, dbias = sum "
        "dz, [dz]; dz = (dy + addend) * (y > 0) where relu, else dy + addend; without y, y = xhat "
        "* scale + bias {epsilon, relu=0, channels_last=0}",
    .min_inputs = 4,
    .max_inputs = 8,
    .min_outputs = 2,
    .max_outputs = 3,
    .infer = InferBatchNormGradStats,
    .gradient = {.none_because = kNoSecondDerivative},
    .cost = BatchNormCost,
    .half = HalfPolicy::kMatrix,
    .float32_inputs = kGradStatsFloat32,
    .rows = RowKind::kSum,
    .summed_input = 0,
    .band = ChannelSumsBand,
    .layout = LayoutRule::kChannelsLast,
    .in_place = kGradStatsInPlace};
constinit const OpDef kBatchNormStats = {
    .name = "BatchNormStats",
    .is_onnx = false,
    .summary = "x -> mean, var of each channel; var is the population variance {channels_last=0}",
    .min_outputs = 2,
    .max_outputs = 2,
    .infer = InferBatchNormStats,
    .gradient = {.none_because = "it is made behind autodiff, from BatchNormTrain"},
    .cost = BatchNormCost,
    .half = HalfPolicy::kMatrix,
    .rows = RowKind::kBarrier,
    .layout = LayoutRule::kChannelsLast};
constinit const OpDef kBatchNormTrain = {
    .name = "BatchNormTrain",
    .is_onnx = false,
    .summary =
        "x, scale, bias -> y = xhat * scale + bias, mean, var of the batch {epsilon, "
        "channels_last=0}; BatchNormStats and BatchNormApply in one",
    .min_inputs = 3,
    .max_inputs = 3,
    .min_outputs = 3,
    .max_outputs = 3,
    .infer = InferBatchNormTrain,
    .gradient = {.build = GradBatchNormTrain},
    .cost = BatchNormTrainCost,
    .half = HalfPolicy::kMatrix,
    .float32_inputs = kTrainFloat32,
    .rows = RowKind::kBarrier,
    .layout = LayoutRule::kChannelsLast};
constinit const OpDef kBatchNormalization = {
    .name = "BatchNormalization",
    .summary =
        "x, scale, bias, mean, var -> y, [new mean, new var] {epsilon=1e-5, momentum=0.9, "
        "training_mode=0}; as imported, the norm pass rewrites it",
    .min_inputs = 5,
    .max_inputs = 5,
    .max_outputs = 3,
    .infer = InferBatchNormalization,
    .gradient = {.none_because = "the norm pass rewrites it before autodiff"},
    .cost = BatchNormCost,
    .half = HalfPolicy::kMatrix,
    .float32_inputs = kApplyFloat32,
    .rows = RowKind::kBarrier,
    .layout = LayoutRule::kFixed};
constinit const OpDef kMovingAverage = {
    .name = "MovingAverage",
    .is_onnx = false,
    .summary = "old, current -> old * momentum + current * (1 - momentum) {momentum}",
    .min_inputs = 2,
    .max_inputs = 2,
    .infer = InferMovingAverage,
    .gradient = {.none_because = "statistics of inference are not trained"},
    .cost = PointwiseCost,
    .half = HalfPolicy::kFloat32,
    .rows = RowKind::kNone,
    .in_place = kOverOld};

}  // namespace wsi
