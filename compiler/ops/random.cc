#include "compiler/ops/random.h"

#include <limits>

#include "compiler/ops/attribute_check.h"
#include "compiler/ops/band_rules.h"
#include "compiler/ops/cost.h"
#include "compiler/ops/gradient_rules.h"
#include "compiler/ops/operand_check.h"
#include "runtime/base/band.h"

namespace wsi {
namespace {

// Below 1, so that 1 / (1 - ratio) is finite.
Status WantRatio(const OpView& op) {
  constexpr double kBelowOne = 1 - std::numeric_limits<float>::epsilon();
  return CheckedFloat(op.attributes(), "ratio", 0.5, 0, kBelowOne).status();
}

InferredTypes InferDropout(const OpView& op) {
  WSI_RETURN_IF_ERROR(WantFloat(op, 0));
  WSI_RETURN_IF_ERROR(WantRatio(op));
  if (op.HasInput(1) != op.HasInput(2)) {
    return InvalidInput("has only one of the inputs seed and step");
  }
  for (const int i : {1, 2}) {
    WSI_RETURN_IF_ERROR(WantType(op, i, DType::kI64));
    WSI_RETURN_IF_ERROR(WantShape(op, i, Shape()));
  }
  if (op.HasInput(1)) {
    constexpr int64_t kCounterWord = std::numeric_limits<uint32_t>::max();
    WSI_RETURN_IF_ERROR(CheckedInt(op.attributes(), "seed_id", 0, kCounterWord).status());
  }
  WSI_RETURN_IF_ERROR(BandOfWhole::Read(op.attributes(), op.input_shape(0)).status());
  return std::vector<TensorType>{TypeOf(op.input(0)), {DType::kBool, op.input_shape(0)}};
}

InferredTypes InferDropoutGrad(const OpView& op) {
  WSI_RETURN_IF_ERROR(WantFloat(op, 0));
  WSI_RETURN_IF_ERROR(WantType(op, 1, DType::kBool));
  WSI_RETURN_IF_ERROR(WantSameShape(op, 1, 0));
  WSI_RETURN_IF_ERROR(WantRatio(op));
  return SameAsInput(op);
}

Status GradDropout(GradBuilder& g) {
  const ValueId mask = NeedOutput(g, 1);
  return SetGrad(g, 0,
                 g.Emit("DropoutGrad", {g.OutputGrad(0), mask},
                        {{"ratio", g.op().attributes().Float("ratio", 0.5)}}));
}

constexpr std::pair<int, int> kInPlace[] = {{0, 0}};

}  // namespace

constinit const OpDef kDropout = {
    .name = "Dropout",
    .summary =
        "x, [seed i64, step i64: scalars, both or neither] -> y = x / (1 - ratio) where mask, "
        "else 0, [mask bool: kept] {ratio=0.5, seed_id: number of the node, wherever seed is "
        "given}; the Philox4x32-10 word of key seed at counter (step, seed_id, element) "
        "decides",
    .max_inputs = 3,
    .max_outputs = 2,
    .infer = InferDropout,
    .gradient = {.build = GradDropout},
    .cost = PointwiseCost,
    .band = NumberedPointwiseBand,
    .in_place = kInPlace};
constinit const OpDef kDropoutGrad = {
    .name = "DropoutGrad",
    .is_onnx = false,
    .summary = "dy, mask bool -> dy / (1 - ratio) where mask, else 0 {ratio=0.5}",
    .min_inputs = 2,
    .max_inputs = 2,
    .infer = InferDropoutGrad,
    .gradient = {.none_because = kNoSecondDerivative},
    .cost = PointwiseCost,
    .in_place = kInPlace};

}  // namespace wsi
