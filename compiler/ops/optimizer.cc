#include "compiler/ops/optimizer.h"

#include <fmt/format.h>

#include <limits>

#include "compiler/ops/attribute_check.h"
#include "compiler/ops/cost.h"
#include "compiler/ops/operand_check.h"

namespace wsi {
namespace {

constexpr double kBelowOne = 1 - std::numeric_limits<double>::epsilon() / 2;
constexpr double kAboveZero = std::numeric_limits<double>::min();
constexpr double kLargest = std::numeric_limits<double>::max();

// The parameter is input 0 and the gradient input 1, of its type or, where it is f32,
// of half precision; inputs 2 to below `states_end` are like the parameter.
Status WantParameter(const OpView& op, int states_end) {
  const DType dtype = op.input(0).dtype;
  if (dtype != DType::kF32 && dtype != DType::kF64) {
    return InvalidInput(fmt::format("input 0 is {}, wants f32 or f64", DTypeName(dtype)));
  }
  const DType gradient = op.input(1).dtype;
  const bool half = gradient == DType::kF16 || gradient == DType::kBF16;
  if (!(half && dtype == DType::kF32)) WSI_RETURN_IF_ERROR(WantSameType(op, 1, 0));
  WSI_RETURN_IF_ERROR(WantSameShape(op, 1, 0));
  for (int i = 2; i < states_end; ++i) {
    WSI_RETURN_IF_ERROR(WantSameType(op, i, 0));
    WSI_RETURN_IF_ERROR(WantSameShape(op, i, 0));
  }
  return CheckedFloat(op.attributes(), "weight_decay", 0.0, -kLargest, kLargest).status();
}

// Inputs i and i + 1 are what the gradients are multiplied by and whether they are finite.
Status WantScaleAndFlag(const OpView& op, int i) {
  WSI_RETURN_IF_ERROR(WantFloatScalar(op, i));
  return WantFloatScalar(op, i + 1);
}

InferredTypes LikeParameter(const OpView& op, size_t outputs) {
  return std::vector<TensorType>(outputs, TypeOf(op.input(0)));
}

InferredTypes InferSgdUpdate(const OpView& op) {
  WSI_RETURN_IF_ERROR(WantParameter(op, 2));
  WSI_RETURN_IF_ERROR(WantFloatScalar(op, 2));
  WSI_RETURN_IF_ERROR(WantScaleAndFlag(op, 3));
  return LikeParameter(op, 1);
}

InferredTypes InferMomentumUpdate(const OpView& op) {
  WSI_RETURN_IF_ERROR(WantParameter(op, 3));
  WSI_RETURN_IF_ERROR(WantFloatScalar(op, 3));
  WSI_RETURN_IF_ERROR(WantScaleAndFlag(op, 4));
  WSI_RETURN_IF_ERROR(CheckedFloat(op.attributes(), "momentum", {}, 0, 1).status());
  WSI_RETURN_IF_ERROR(CheckedFlag(op.attributes(), "nesterov", false).status());
  return LikeParameter(op, 2);
}

InferredTypes InferAdamUpdate(const OpView& op) {
  WSI_RETURN_IF_ERROR(WantParameter(op, 4));
  WSI_RETURN_IF_ERROR(WantFloatScalar(op, 4));
  WSI_RETURN_IF_ERROR(WantType(op, 5, DType::kI64));
  WSI_RETURN_IF_ERROR(WantShape(op, 5, Shape()));
  WSI_RETURN_IF_ERROR(WantScaleAndFlag(op, 6));
  WSI_RETURN_IF_ERROR(CheckedFloat(op.attributes(), "beta1", {}, 0, kBelowOne).status());
  WSI_RETURN_IF_ERROR(CheckedFloat(op.attributes(), "beta2", {}, 0, kBelowOne).status());
  WSI_RETURN_IF_ERROR(CheckedFloat(op.attributes(), "epsilon", {}, 0, kLargest).status());
  WSI_RETURN_IF_ERROR(CheckedFlag(op.attributes(), "decoupled", false).status());
  return LikeParameter(op, 3);
}

InferredTypes InferAccumulateGrad(const OpView& op) {
  WSI_RETURN_IF_ERROR(WantParameter(op, 2));
  return LikeParameter(op, 1);
}

InferredTypes InferAllFinite(const OpView& op) {
  WSI_RETURN_IF_ERROR(WantFloat(op, 0));
  const TensorType flag{StatisticsType(op.input(0).dtype), Shape()};
  WSI_RETURN_IF_ERROR(WantType(op, 1, flag.dtype));
  WSI_RETURN_IF_ERROR(WantShape(op, 1, flag.shape));
  return std::vector<TensorType>{flag};
}

InferredTypes InferClipScale(const OpView& op) {
  WSI_RETURN_IF_ERROR(WantFloatScalar(op, 0));
  WSI_RETURN_IF_ERROR(WantSameType(op, 1, 0));
  WSI_RETURN_IF_ERROR(WantShape(op, 1, Shape()));
  WSI_RETURN_IF_ERROR(CheckedFloat(op.attributes(), "max_norm", {}, kAboveZero, kLargest).status());
  WSI_RETURN_IF_ERROR(CheckedFloat(op.attributes(), "scale0", 1.0, kAboveZero, kLargest).status());
  return SameAsInput(op);
}

InferredTypes InferSquaredNorm(const OpView& op) {
  WSI_RETURN_IF_ERROR(WantFloat(op, 0));
  return std::vector<TensorType>{{StatisticsType(op.input(0).dtype), Shape()}};
}

Cost UpdateCost(const OpView& op) { return ElementCost(op, 0, 5); }
Cost AdamCost(const OpView& op) { return ElementCost(op, 0, 15); }
Cost AllFiniteCost(const OpView& op) { return ElementCost(op, 0, 1); }
Cost SquaredNormCost(const OpView& op) { return ElementCost(op, 0, 2); }

constexpr std::pair<int, int> kOverFirst[] = {{0, 0}};
constexpr std::pair<int, int> kOverBefore[] = {{0, 1}};
constexpr std::pair<int, int> kMomentumInPlace[] = {{0, 0}, {1, 2}};
constexpr std::pair<int, int> kAdamInPlace[] = {{0, 0}, {1, 2}, {2, 3}};

constexpr OpDef Update(std::string_view name, std::string_view summary, int min_inputs,
                       int max_inputs, int outputs, InferFunction infer, CostFunction cost) {
  return {.name = name,
          .is_onnx = false,
          .summary = summary,
          .min_inputs = min_inputs,
          .max_inputs = max_inputs,
          .min_outputs = outputs,
          .max_outputs = outputs,
          .infer = infer,
          .gradient = {.none_because = "updates are not differentiated"},
          .cost = cost,
          .half = HalfPolicy::kFloat32,
          .rows = RowKind::kNone};
}

constexpr OpDef InPlace(OpDef op, std::span<const std::pair<int, int>> pairs) {
  op.in_place = pairs;
  return op;
}

}  // namespace

constinit const OpDef kAccumulateGrad =
    InPlace(Update("AccumulateGrad", "accumulator, grad -> accumulator + grad", 2, 2, 1,
                   InferAccumulateGrad, PointwiseCost),
            kOverFirst);
constinit const OpDef kAdamUpdate = InPlace(
    Update("AdamUpdate",
           "param, grad, m, v, lr, step i64 (from 1), [scale], [finite] -> param', m', v' {beta1, "
           "beta2, epsilon, weight_decay=0, decoupled=0}; what was where finite is 0, else: g = "
           "grad * scale, decoupled: param is first "
           "scaled by 1 - lr * weight_decay, else g += weight_decay * param; m' = beta1 * m + (1 - "
           "beta1) * g; v' = beta2 * v + (1 - beta2) * g^2; param' = param - lr * (m' / (1 - "
           "beta1^step)) / (sqrt(v' / (1 - beta2^step)) + epsilon)",
           6, 8, 3, InferAdamUpdate, AdamCost),
    kAdamInPlace);
constinit const OpDef kAllFinite =
    InPlace(Update("AllFinite",
                   "x, [before] -> before (or 1) where every element of x is finite, else 0; a "
                   "scalar of at least single precision",
                   1, 2, 1, InferAllFinite, AllFiniteCost),
            kOverBefore);
constinit const OpDef kClipScale =
    Update("ClipScale",
           "sumsq, [loss_scale] -> s * min(1, max_norm / (s * sqrt(sumsq) + 1e-6)), s = scale0 / "
           "loss_scale {max_norm, scale0=1}",
           1, 2, 1, InferClipScale, PointwiseCost);
constinit const OpDef kMomentumUpdate = InPlace(
    Update(
        "MomentumUpdate",
        "param, grad, velocity, lr, [scale], [finite] -> param', velocity' {momentum, nesterov=0, "
        "weight_decay=0}; what was where finite is 0, else: g = grad * scale + weight_decay * "
        "param; velocity' = momentum * "
        "velocity + g; param' = param - lr * (nesterov: g + momentum * velocity', else velocity')",
        4, 6, 2, InferMomentumUpdate, UpdateCost),
    kMomentumInPlace);
constinit const OpDef kSgdUpdate = InPlace(
    Update(
        "SgdUpdate",
        "param, grad, lr, [scale], [finite] -> param' = param where finite is 0, else param - lr * "
        "(grad * scale + weight_decay * param) {weight_decay=0}",
        3, 5, 1, InferSgdUpdate, UpdateCost),
    kOverFirst);
constinit const OpDef kSquaredNorm =
    Update("SquaredNorm", "x -> the sum of x^2, a scalar of at least single precision", 1, 1, 1,
           InferSquaredNorm, SquaredNormCost);

}  // namespace wsi
