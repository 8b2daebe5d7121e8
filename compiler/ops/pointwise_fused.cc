#include "compiler/ops/pointwise_fused.h"

#include <fmt/format.h>

#include "compiler/ops/band_rules.h"
#include "compiler/ops/cost.h"
#include "compiler/ops/operand_check.h"
#include "runtime/base/pointwise_attributes.h"

namespace wsi {
namespace {

Result<Shape> Domain(const OpView& op) {
  Shape domain;
  for (int i = 0; i < op.input_count(); ++i) {
    WSI_RETURN_IF_ERROR(WantInput(op, i));
    WSI_ASSIGN_OR_RETURN(domain, BroadcastShapes(domain, op.input_shape(i)));
  }
  return domain;
}

InferredTypes InferPointwise(const OpView& op) {
  for (int i = 0; i < op.input_count(); ++i) {
    WSI_RETURN_IF_ERROR(WantInput(op, i));
    if (op.input(i).dtype != DType::kBool) WSI_RETURN_IF_ERROR(WantFloat(op, i));
  }
  WSI_ASSIGN_OR_RETURN(const Shape domain, Domain(op));
  WSI_ASSIGN_OR_RETURN(const PointwiseAttributes kernel,
                       ReadPointwiseAttributes(op.attributes(), op.input_count(), domain));
  if (static_cast<size_t>(op.output_count()) != kernel.results.size()) {
    return InvalidInput(fmt::format("has {} outputs, its attribute results names {}",
                                    op.output_count(), kernel.results.size()));
  }
  std::vector<TensorType> types;
  for (const PointwiseResult& result : kernel.results) {
    types.push_back({result.dtype, result.is_sum ? kernel.SumShape(domain) : domain});
  }
  return types;
}

Cost PointwiseProgramCost(const OpView& op) {
  const Result<Shape> domain = Domain(op);
  if (!domain.ok()) return {};
  const auto kernel = ReadPointwiseAttributes(op.attributes(), op.input_count(), domain.value());
  if (!kernel.ok()) return {};
  const auto steps = static_cast<double>(kernel.value().program.steps.size());
  return {steps * static_cast<double>(domain.value().ElementCount()), BytesTouched(op)};
}

// Elements are written behind all reads of the input elements at their place.
constexpr std::pair<int, int> kInPlace[] = {{0, 0}, {0, 1}, {0, 2}, {0, 3}, {1, 0}, {1, 1},
                                            {1, 2}, {1, 3}, {2, 0}, {2, 1}, {2, 2}, {2, 3}};

}  // namespace

constinit const OpDef kPointwise = {
    .name = "Pointwise",
    .is_onnx = false,
    .summary =
        "x0, x1, ... -> results of a program of elementwise steps, or their sums over axes "
        "{program, results, types, sums, axes, factor=1}",
    .min_inputs = 1,
    .max_inputs = PointwiseProgram::kMaxInputs,
    .min_outputs = 1,
    .max_outputs = -1,
    .infer = InferPointwise,
    .gradient = {.none_because = "the fuse pass makes it, behind autodiff"},
    .cost = PointwiseProgramCost,
    .half = HalfPolicy::kNeutral,
    .band = PointwiseProgramBand,
    .in_place = kInPlace};

}  // namespace wsi
