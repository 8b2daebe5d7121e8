#include "compiler/ops/grid_sampling.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "compiler/ops/attribute_check.h"
#include "compiler/ops/cost.h"
#include "compiler/ops/gradient_rules.h"
#include "compiler/ops/operand_check.h"

namespace wsi {
namespace {

Status CheckChoice(const OpView& op, std::string_view name, std::string_view otherwise,
                   std::initializer_list<std::string_view> allowed) {
  WSI_ASSIGN_OR_RETURN(const std::string found,
                       CheckedString(op.attributes(), name, std::string(otherwise)));
  if (std::ranges::find(allowed, found) != allowed.end()) return {};
  return InvalidInput(fmt::format("attribute {} is '{}', wants {}", name, found,
                                  fmt::join(allowed.begin(), allowed.end(), ", ")));
}

// The shape of y for an x of shape `x` and the grid, input `grid`.
Result<Shape> CheckSampling(const OpView& op, const Shape& x, int grid) {
  WSI_RETURN_IF_ERROR(CheckChoice(op, "mode", "linear", {"linear", "nearest", "cubic"}));
  WSI_RETURN_IF_ERROR(CheckChoice(op, "padding_mode", "zeros", {"zeros", "border", "reflection"}));
  WSI_RETURN_IF_ERROR(CheckedFlag(op.attributes(), "align_corners", false).status());
  const Shape& positions = op.input_shape(grid);
  const int rank = x.rank();
  if (rank < 3 || rank > 5) {
    return InvalidInput(fmt::format("the input has shape {}, wants rank 3 to 5", x.ToString()));
  }
  if (positions.rank() != rank || positions[0] != x[0] || positions[rank - 1] != rank - 2) {
    return InvalidInput(fmt::format("grid {} does not go with input {}: wants [{}, ..., {}]",
                                    positions.ToString(), x.ToString(), x[0], rank - 2));
  }
  for (int axis = 2; axis < rank; ++axis) {
    if (x[axis] == 0) {
      return InvalidInput(fmt::format("the input {} is empty along axis {}", x.ToString(), axis));
    }
  }
  std::vector<int64_t> sizes = {x[0], x[1]};
  for (int axis = 1; axis + 1 < rank; ++axis) sizes.push_back(positions[axis]);
  return Shape::Make(sizes);
}

InferredTypes InferGridSample(const OpView& op) {
  WSI_RETURN_IF_ERROR(WantFloat(op, 0));
  WSI_RETURN_IF_ERROR(WantSameType(op, 1, 0));
  WSI_ASSIGN_OR_RETURN(Shape y, CheckSampling(op, op.input_shape(0), 1));
  return std::vector<TensorType>{{op.input(0).dtype, std::move(y)}};
}

InferredTypes InferGridSampleGrad(const OpView& op) {
  WSI_RETURN_IF_ERROR(WantFloat(op, 0));
  WSI_RETURN_IF_ERROR(WantSameType(op, 1, 0));
  WSI_ASSIGN_OR_RETURN(Shape x, CheckedShape(op.attributes(), "input_shape"));
  WSI_ASSIGN_OR_RETURN(const Shape y, CheckSampling(op, x, 1));
  WSI_RETURN_IF_ERROR(WantShape(op, 0, y));
  return std::vector<TensorType>{{op.input(0).dtype, std::move(x)}};
}

InferredTypes InferGridSampleGridGrad(const OpView& op) {
  WSI_RETURN_IF_ERROR(WantFloat(op, 0));
  WSI_RETURN_IF_ERROR(WantSameType(op, 1, 0));
  WSI_RETURN_IF_ERROR(WantSameType(op, 2, 0));
  WSI_ASSIGN_OR_RETURN(const Shape y, CheckSampling(op, op.input_shape(1), 2));
  WSI_RETURN_IF_ERROR(WantShape(op, 0, y));
  return std::vector<TensorType>{TypeOf(op.input(2))};
}

Status GradGridSample(GradBuilder& g) {
  const Shape& x = g.op().input_shape(0);
  Attributes attributes = g.op().attributes();
  if (g.WantsInputGrad(1)) {
    WSI_RETURN_IF_ERROR(SetGrad(
        g, 1, g.Emit("GridSampleGridGrad", {g.OutputGrad(0), g.Input(0), g.Input(1)}, attributes)));
  }
  if (!g.WantsInputGrad(0)) return {};
  attributes.Set("input_shape", std::vector<int64_t>(x.begin(), x.end()));
  return SetGrad(g, 0,
                 g.Emit("GridSampleGrad", {g.OutputGrad(0), g.Input(1)}, std::move(attributes)));
}

// A multiply-add for every element and position read.
Cost SamplingCost(const OpView& op) {
  const Cost one = PointwiseCost(op);
  const std::string mode = op.attributes().String("mode", "linear");
  const double taps = mode == "cubic" ? 4 : mode == "linear" ? 2 : 1;
  return {2 * one.flops * std::pow(taps, op.input_shape(0).rank() - 2), one.bytes};
}

constexpr OpDef Sampling(std::string_view name, std::string_view summary, int inputs,
                         InferFunction infer, Gradient gradient) {
  return {.name = name,
          .is_onnx = name == "GridSample",
          .summary = summary,
          .min_inputs = inputs,
          .max_inputs = inputs,
          .infer = infer,
          .gradient = gradient,
          .cost = SamplingCost,
          .half = HalfPolicy::kFloat32,
          .rows = RowKind::kBarrier,
          .layout = LayoutRule::kFixed};
}

}  // namespace

constinit const OpDef kGridSample =
    Sampling("GridSample",
             "x, grid[N, .., axes] -> y[n, c, ..] = x[n, c] at grid[n, ..], the last axis first, "
             "-1 to 1 {mode=linear|nearest|cubic, padding_mode=zeros|border|reflection, "
             "align_corners=0}",
             2, InferGridSample, {.build = GradGridSample});
constinit const OpDef kGridSampleGrad =
    Sampling("GridSampleGrad", "dy, grid -> dx {GridSample's attributes, input_shape: of x}", 2,
             InferGridSampleGrad, {.none_because = kNoSecondDerivative});
constinit const OpDef kGridSampleGridGrad =
    Sampling("GridSampleGridGrad", "dy, x, grid -> dgrid {GridSample's attributes}", 3,
             InferGridSampleGridGrad, {.none_because = kNoSecondDerivative});

}  // namespace wsi
