#include "compiler/ops/pointwise_gradient.h"

#include <limits>

#include "compiler/ops/attribute_check.h"
#include "compiler/ops/cost.h"
#include "compiler/ops/gradient_rules.h"
#include "compiler/ops/operand_check.h"

namespace wsi {
namespace {

InferredTypes InferPointwiseGradient(const OpView& op) {
  WSI_RETURN_IF_ERROR(WantFloat(op, 0));
  WSI_RETURN_IF_ERROR(WantSameType(op, 1, 0));
  WSI_RETURN_IF_ERROR(WantSameShape(op, 1, 0));
  return SameAsInput(op);
}

InferredTypes InferClipGrad(const OpView& op) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  WSI_RETURN_IF_ERROR(CheckedFloat(op.attributes(), "min", -kInfinity).status());
  WSI_RETURN_IF_ERROR(CheckedFloat(op.attributes(), "max", kInfinity).status());
  return InferPointwiseGradient(op);
}

InferredTypes InferAlphaGrad(const OpView& op) {
  WSI_RETURN_IF_ERROR(CheckedFloat(op.attributes(), "alpha", 0.0).status());
  return InferPointwiseGradient(op);
}

InferredTypes InferAlphaBetaGrad(const OpView& op) {
  WSI_RETURN_IF_ERROR(CheckedFloat(op.attributes(), "beta", 0.0).status());
  return InferAlphaGrad(op);
}

constexpr std::pair<int, int> kOverEither[] = {{0, 0}, {0, 1}};

constexpr OpDef PointwiseGradient(std::string_view name, std::string_view summary,
                                  HalfPolicy half = HalfPolicy::kSafe) {
  return {.name = name,
          .is_onnx = false,
          .summary = summary,
          .min_inputs = 2,
          .max_inputs = 2,
          .infer = InferPointwiseGradient,
          .gradient = {.none_because = kNoSecondDerivative},
          .cost = PointwiseCost,
          .half = half,
          .in_place = kOverEither};
}

constexpr OpDef WithInfer(OpDef op, InferFunction infer) {
  op.infer = infer;
  return op;
}

}  // namespace

constinit const OpDef kClipGrad = WithInfer(
    PointwiseGradient("ClipGrad",
                      "dy, x -> dy where min < x < max, else 0 {min=-inf, max=inf, floats}"),
    InferClipGrad);
constinit const OpDef kEluGrad = WithInfer(
    PointwiseGradient("EluGrad", "dy, y -> dy where y > 0, else dy * (y + alpha) {alpha=1}"),
    InferAlphaGrad);
constinit const OpDef kErfGrad =
    PointwiseGradient("ErfGrad", "dy, x -> dy * 2/sqrt(pi) * exp(-x^2)", HalfPolicy::kFloat32);
constinit const OpDef kGeluGrad = PointwiseGradient(
    "GeluGrad", "dy, x -> dy * (Phi(x) + x * phi(x)), the normal distribution and its density",
    HalfPolicy::kFloat32);
constinit const OpDef kHardSigmoidGrad = WithInfer(
    PointwiseGradient(
        "HardSigmoidGrad",
        "dy, x -> dy * alpha where 0 < alpha * x + beta < 1, else 0 {alpha=0.2, beta=0.5}"),
    InferAlphaBetaGrad);
constinit const OpDef kHardSwishGrad = PointwiseGradient(
    "HardSwishGrad", "dy, x -> dy where x >= 3, 0 where x <= -3, else dy * (x / 3 + 0.5)");
constinit const OpDef kLeakyReluGrad = WithInfer(
    PointwiseGradient("LeakyReluGrad", "dy, x -> dy where x > 0, else dy * alpha {alpha=0.01}"),
    InferAlphaGrad);
constinit const OpDef kReluGrad = PointwiseGradient("ReluGrad", "dy, y -> dy where y > 0, else 0");
constinit const OpDef kSigmoidGrad = PointwiseGradient("SigmoidGrad", "dy, y -> dy * y * (1 - y)");
constinit const OpDef kTanhGrad = PointwiseGradient("TanhGrad", "dy, y -> dy * (1 - y^2)");

}  // namespace wsi
