#include "compiler/ops/resampling.h"

#include <fmt/format.h>

#include <limits>

#include "compiler/ops/attribute_check.h"
#include "compiler/ops/band_rules.h"
#include "compiler/ops/cost.h"
#include "compiler/ops/gradient_rules.h"
#include "compiler/ops/operand_check.h"

namespace wsi {
namespace {

// Checks the table, inputs 1 and 2, and gives the number of output positions.
Result<int64_t> CheckedTable(const OpView& op) {
  WSI_RETURN_IF_ERROR(WantFloat(op, 0));
  WSI_RETURN_IF_ERROR(WantType(op, 1, DType::kI64));
  WSI_RETURN_IF_ERROR(WantRank(op, 1, 2, 2));
  WSI_RETURN_IF_ERROR(WantType(op, 2, StatisticsType(op.input(0).dtype)));
  WSI_RETURN_IF_ERROR(WantSameShape(op, 2, 1));
  return op.input_shape(1)[0];
}

InferredTypes WithAxis(const OpView& op, int axis, int64_t size) {
  const Shape& from = op.input_shape(0);
  std::vector<int64_t> sizes(from.begin(), from.end());
  sizes[static_cast<size_t>(axis)] = size;
  WSI_ASSIGN_OR_RETURN(Shape to, Shape::Make(sizes));
  return std::vector<TensorType>{{op.input(0).dtype, std::move(to)}};
}

InferredTypes InferResample(const OpView& op) {
  WSI_ASSIGN_OR_RETURN(const int64_t output, CheckedTable(op));
  WSI_ASSIGN_OR_RETURN(const int axis,
                       CheckedAxis(op.attributes(), "axis", op.input_shape(0).rank()));
  return WithAxis(op, axis, output);
}

InferredTypes InferResampleGrad(const OpView& op) {
  WSI_ASSIGN_OR_RETURN(const int64_t output, CheckedTable(op));
  const Shape& dy = op.input_shape(0);
  WSI_ASSIGN_OR_RETURN(const int axis, CheckedAxis(op.attributes(), "axis", dy.rank()));
  WSI_ASSIGN_OR_RETURN(const int64_t size,
                       CheckedInt(op.attributes(), "size", 1, std::numeric_limits<int64_t>::max()));
  if (dy[axis] != output) {
    return InvalidInput(fmt::format("axis {} of {} is not as long as the table of {}", axis,
                                    dy.ToString(), output));
  }
  return WithAxis(op, axis, size);
}

Status GradResample(GradBuilder& g) {
  if (!g.WantsInputGrad(0)) return {};
  const int64_t axis = g.op().attributes().Int("axis", 0);
  const int64_t size = g.op().input_shape(0)[static_cast<int>(axis)];
  return SetGrad(g, 0,
                 g.Emit("ResampleGrad", {g.OutputGrad(0), g.Input(1), g.Input(2)},
                        {{"axis", axis}, {"size", size}}));
}

// A multiply-add for every position of the longer tensor and tap.
Cost ResampleCost(const OpView& op) {
  const Cost one = PointwiseCost(op);
  return {2 * one.flops * static_cast<double>(op.input_shape(1)[1]), one.bytes};
}

constexpr int kFloat32[] = {2};

constexpr OpDef Resampling(std::string_view name, std::string_view summary, InferFunction infer,
                           Gradient gradient, BandFunction band) {
  return {.name = name,
          .is_onnx = false,
          .summary = summary,
          .min_inputs = 3,
          .max_inputs = 3,
          .infer = infer,
          .gradient = gradient,
          .cost = ResampleCost,
          .half = HalfPolicy::kMatrix,
          .float32_inputs = kFloat32,
          .rows = RowKind::kMoved,
          .band = band,
          .layout = LayoutRule::kAxes};
}

}  // namespace

constinit const OpDef kResample =
    Resampling("Resample",
               "x, indices[M, T] i64, weights[M, T] -> y[.., m, ..] = sum over t of "
               "weights[m, t] * x[.., "
               "indices[m, t], ..] along {axis >= 0}; Resize is one for each axis",
               InferResample, {.build = GradResample}, ResampleBand);
constinit const OpDef kResampleGrad =
    Resampling("ResampleGrad", "dy, indices, weights -> dx {axis >= 0, size: of x's axis}",
               InferResampleGrad, {.none_because = kNoSecondDerivative}, ResampleGradBand);

}  // namespace wsi
