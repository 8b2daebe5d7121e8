#include "compiler/ops/group_normalization.h"

#include <fmt/format.h>

#include "compiler/ops/attribute_check.h"
#include "compiler/ops/cost.h"
#include "compiler/ops/gradient_rules.h"
#include "compiler/ops/operand_check.h"
#include "compiler/ops/spatial.h"

namespace wsi {
namespace {

struct GroupTypes {
  TensorType channels;    // Of scale and bias.
  TensorType statistics;  // Of mean and inv_std.
};

// Checks the activation `i` and the attributes.
Result<GroupTypes> CheckGroups(const OpView& op, int i) {
  WSI_RETURN_IF_ERROR(WantFloat(op, i));
  WSI_ASSIGN_OR_RETURN(const bool channels_last, ChannelsLast(op.attributes()));
  WSI_ASSIGN_OR_RETURN(const Activation x,
                       SplitActivation(op.input_shape(i), channels_last, "the input"));
  WSI_ASSIGN_OR_RETURN(const int64_t groups,
                       CheckedInt(op.attributes(), "num_groups", 1, kMaxWindow));
  if (x.c % groups != 0) {
    return InvalidInput(fmt::format("num_groups {} does not divide {} channels", groups, x.c));
  }
  const DType dtype = StatisticsType(op.input(i).dtype);
  return GroupTypes{.channels = {dtype, Shape{x.c}}, .statistics = {dtype, Shape{x.n, groups}}};
}

Status WantLike(const OpView& op, int i, const TensorType& type) {
  WSI_RETURN_IF_ERROR(WantType(op, i, type.dtype));
  return WantShape(op, i, type.shape);
}

InferredTypes InferGroupNormalization(const OpView& op) {
  WSI_ASSIGN_OR_RETURN(const GroupTypes types, CheckGroups(op, 0));
  WSI_RETURN_IF_ERROR(WantLike(op, 1, types.channels));
  WSI_RETURN_IF_ERROR(WantLike(op, 2, types.channels));
  WSI_RETURN_IF_ERROR(CheckedFloat(op.attributes(), "epsilon", 1e-5, 0.0, 1e9).status());
  return std::vector<TensorType>{TypeOf(op.input(0)), types.statistics, types.statistics};
}

InferredTypes InferGroupNormGrad(const OpView& op) {
  WSI_ASSIGN_OR_RETURN(const GroupTypes types, CheckGroups(op, 0));
  WSI_RETURN_IF_ERROR(WantLike(op, 1, TypeOf(op.input(0))));
  WSI_RETURN_IF_ERROR(WantLike(op, 2, types.channels));
  WSI_RETURN_IF_ERROR(WantLike(op, 3, types.statistics));
  WSI_RETURN_IF_ERROR(WantLike(op, 4, types.statistics));
  return std::vector<TensorType>{TypeOf(op.input(0)), types.channels, types.channels};
}

Status GradGroupNormalization(GradBuilder& g) {
  WSI_RETURN_IF_ERROR(OnlyFirstOutput(g));
  const ValueId dy = g.OutputGrad(0);
  if (!dy.valid()) return {};
  const ValueId mean = NeedOutput(g, 1);
  const ValueId inv_std = NeedOutput(g, 2);
  WSI_ASSIGN_OR_RETURN(const std::vector<ValueId> gradients,
                       g.EmitMany("GroupNormGrad", {dy, g.Input(0), g.Input(1), mean, inv_std},
                                  g.op().attributes(), 3));
  for (int i = 0; i < 3; ++i) {
    if (g.WantsInputGrad(i)) g.SetInputGrad(i, gradients[static_cast<size_t>(i)]);
  }
  return {};
}

constexpr int kForwardFloat32[] = {1, 2};
constexpr int kGradFloat32[] = {2, 3, 4};

Cost GroupNormCost(const OpView& op) { return ElementCost(op, 0, 8); }

}  // namespace

constinit const OpDef kGroupNormGrad = {
    .name = "GroupNormGrad",
    .is_onnx = false,
    .summary = "dy, x, scale, mean, inv_std -> dx, dscale, dbias {num_groups, channels_last=0}",
    .min_inputs = 5,
    .max_inputs = 5,
    .min_outputs = 3,
    .max_outputs = 3,
    .infer = InferGroupNormGrad,
    .gradient = {.none_because = kNoSecondDerivative},
    .cost = GroupNormCost,
    .half = HalfPolicy::kMatrix,
    .float32_inputs = kGradFloat32,
    .rows = RowKind::kBarrier,
    .layout = LayoutRule::kChannelsLast};
constinit const OpDef kGroupNormalization = {
    .name = "GroupNormalization",
    .summary =
        "x, scale[C], bias[C] -> (x - mean) * inv_std * scale + bias, [mean[N, groups], "
        "inv_std[N, groups] = 1 / sqrt(var + epsilon)] {num_groups, epsilon=1e-5, "
        "channels_last=0}",
    .min_inputs = 3,
    .max_inputs = 3,
    .max_outputs = 3,
    .infer = InferGroupNormalization,
    .gradient = {.build = GradGroupNormalization},
    .cost = GroupNormCost,
    .half = HalfPolicy::kMatrix,
    .float32_inputs = kForwardFloat32,
    .rows = RowKind::kBarrier,
    .layout = LayoutRule::kChannelsLast};

}  // namespace wsi
