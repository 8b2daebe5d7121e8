#include "compiler/ops/gradient_rules.h"

#include <fmt/format.h>

namespace wsi {

Result<ValueId> SumToShape(GradBuilder& g, ValueId gradient, const Shape& from,
                           const Shape& original) {
  if (from == original) return gradient;
  // A copy: Emit moves the graph's values.
  const Shape to = original;  // NOLINT(performance-unnecessary-copy-initialization)
  const int extra = from.rank() - to.rank();
  WSI_CHECK(extra >= 0);
  std::vector<int64_t> axes;  // Those that broadcasting stretched.
  std::vector<int64_t> kept;  // The sizes of the others.
  for (int i = 0; i < from.rank(); ++i) {
    const int64_t size = i < extra ? 1 : to[i - extra];
    WSI_CHECK(size == 1 || size == from[i]);
    if (size != from[i]) {
      axes.push_back(i);
    } else {
      kept.push_back(from[i]);
    }
  }
  if (!axes.empty()) {
    WSI_ASSIGN_OR_RETURN(
        gradient, g.Emit("ReduceSum", {gradient}, {{"axes", axes}, {"keepdims", int64_t{0}}}));
  }
  WSI_ASSIGN_OR_RETURN(const Shape reduced, Shape::Make(kept));
  if (reduced == to) return gradient;
  return g.Emit("Reshape", {gradient}, {{"shape", std::vector<int64_t>(to.begin(), to.end())}});
}

Status SetGrad(GradBuilder& g, int i, Result<ValueId> gradient) {
  if (!gradient.ok()) return gradient.status();
  g.SetInputGrad(i, *gradient);
  return {};
}

Status SetBroadcastGrad(GradBuilder& g, int i, Result<ValueId> gradient) {
  if (!gradient.ok()) return gradient.status();
  return SetGrad(g, i, SumToShape(g, *gradient, g.op().output_shape(0), g.op().input_shape(i)));
}

Result<ValueId> EmitScalar(GradBuilder& g, double value) {
  return g.Emit("Fill", {},
                {{"dtype", std::string(DTypeName(g.op().output(0).dtype))},
                 {"shape", std::vector<int64_t>{}},
                 {"value", value}});
}

Result<ValueId> EmitScaled(GradBuilder& g, ValueId value, double scale) {
  if (scale == 1) return value;
  WSI_ASSIGN_OR_RETURN(const ValueId factor, EmitScalar(g, scale));
  return g.Emit("Mul", {value, factor});
}

ValueId NeedOutput(GradBuilder& g, int i) {
  return g.op().HasOutput(i) ? g.Output(i) : g.RequestOutput(i);
}

Status OnlyFirstOutput(const GradBuilder& g) {
  for (int i = 1; i < g.op().output_count(); ++i) {
    if (g.OutputGrad(i).valid()) {
      return InvalidInput(
          fmt::format("{} '{}': no gradient rule for output {}", g.op().op(), g.op().name(), i));
    }
  }
  return {};
}

}  // namespace wsi
