// Reductions, softmax and losses.
#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "frontends/onnx/canonical.h"

namespace wsi {
namespace {

// Sorted, from the front, each axis once.
Result<std::vector<int64_t>> NormalizeAxes(const std::vector<int64_t>& axes, int rank) {
  std::vector<int64_t> sorted;
  for (const int64_t axis : axes) {
    WSI_ASSIGN_OR_RETURN(const int normal, NormalizeAxis(axis, rank));
    sorted.push_back(normal);
  }
  std::ranges::sort(sorted);
  if (std::ranges::adjacent_find(sorted) != sorted.end()) {
    return InvalidInput("axes names an axis twice");
  }
  return sorted;
}

}  // namespace

namespace {

struct Reduction {
  std::vector<int64_t> axes;  // None: nothing is reduced.
  int64_t keepdims = 1;
  Attributes attributes() const { return {{"axes", axes}, {"keepdims", keepdims}}; }
};

// The axes became an operand in opset 13 (ReduceSum) and 18 (the others).
Result<Reduction> ReadReduction(NodeImport& n) {
  WSI_RETURN_IF_ERROR(n.RequireInputs(1));
  const int rank = n.InputShape(0).rank();
  const bool operand = n.opset() >= (n.op() == "ReduceSum" ? 13 : 18);
  std::vector<int64_t> axes;
  if (!operand) {
    axes = n.Ints("axes");
  } else if (n.HasInput(1)) {
    WSI_ASSIGN_OR_RETURN(axes, n.StaticInts(1, "axes"));
  }
  Reduction reduction;
  reduction.keepdims = n.Int("keepdims", 1);
  const bool no_op = operand && n.Int("noop_with_empty_axes", 0) != 0;
  if (axes.empty() && no_op) return reduction;
  if (axes.empty()) {
    axes.resize(static_cast<size_t>(rank));
    std::iota(axes.begin(), axes.end(), 0);
  }
  WSI_ASSIGN_OR_RETURN(reduction.axes, NormalizeAxes(axes, rank));
  return reduction;
}

}  // namespace

Status ImportReduce(NodeImport& n) {
  WSI_ASSIGN_OR_RETURN(const Reduction reduction, ReadReduction(n));
  if (reduction.axes.empty()) {
    n.SetOutput(0, n.Input(0));
    return {};
  }
  return n.Give(n.op(), {n.Input(0)}, reduction.attributes());
}

// The root is taken of 1 where x is 0, so that no infinite slope arises that 0 is multiplied
// with behind it.
Status GiveRoot(NodeImport& n, ValueId x, double p) {
  if (p == 1) {
    n.SetOutput(0, x);
    return {};
  }
  WSI_ASSIGN_OR_RETURN(const ValueId zero, n.NumberLike(x, 0));
  WSI_ASSIGN_OR_RETURN(const ValueId one, n.NumberLike(x, 1));
  WSI_ASSIGN_OR_RETURN(const ValueId is_zero, n.Emit("Equal", {x, zero}));
  WSI_ASSIGN_OR_RETURN(ValueId root, n.Emit("Where", {is_zero, one, x}));
  if (p == 2) {
    WSI_ASSIGN_OR_RETURN(root, n.Emit("Sqrt", {root}));
  } else {
    WSI_ASSIGN_OR_RETURN(const ValueId exponent, n.NumberLike(x, 1 / p));
    WSI_ASSIGN_OR_RETURN(root, n.Emit("Pow", {root, exponent}));
  }
  return n.Give("Where", {is_zero, zero, root});
}

Status ImportReduceNorm(NodeImport& n) {
  WSI_ASSIGN_OR_RETURN(const Reduction reduction, ReadReduction(n));
  const std::string& op = n.op();
  ValueId value = n.Input(0);
  if (op == "ReduceL1") {
    WSI_ASSIGN_OR_RETURN(value, n.Emit("Abs", {value}));
  } else if (op != "ReduceLogSum") {
    WSI_ASSIGN_OR_RETURN(value, n.Emit("Mul", {value, value}));
  }
  if (!reduction.axes.empty()) {
    WSI_ASSIGN_OR_RETURN(value, n.Emit("ReduceSum", {value}, reduction.attributes()));
  }
  if (op == "ReduceL2") return GiveRoot(n, value, 2);
  if (op == "ReduceLogSum") return n.Give("Log", {value});
  n.SetOutput(0, value);
  return {};
}

// max + ln(sum(exp(x - max))), where a maximum that is infinite is not subtracted.
Status ImportReduceLogSumExp(NodeImport& n) {
  WSI_ASSIGN_OR_RETURN(const Reduction reduction, ReadReduction(n));
  if (reduction.axes.empty()) {
    n.SetOutput(0, n.Input(0));
    return {};
  }
  Attributes kept = reduction.attributes();
  kept.Set("keepdims", int64_t{1});
  WSI_ASSIGN_OR_RETURN(ValueId largest, n.Emit("ReduceMax", {n.Input(0)}, kept));
  WSI_ASSIGN_OR_RETURN(const ValueId zero, n.NumberLike(largest, 0));
  WSI_ASSIGN_OR_RETURN(const ValueId difference, n.Emit("Sub", {largest, largest}));
  WSI_ASSIGN_OR_RETURN(const ValueId finite, n.Emit("Equal", {difference, zero}));
  WSI_ASSIGN_OR_RETURN(largest, n.Emit("Where", {finite, largest, zero}));
  WSI_ASSIGN_OR_RETURN(ValueId value, n.Emit("Sub", {n.Input(0), largest}));
  WSI_ASSIGN_OR_RETURN(value, n.Emit("Exp", {value}));
  WSI_ASSIGN_OR_RETURN(value, n.Emit("ReduceSum", {value}, kept));
  WSI_ASSIGN_OR_RETURN(value, n.Emit("Log", {value}));
  if (reduction.keepdims != 0) return n.Give("Add", {value, largest});
  WSI_ASSIGN_OR_RETURN(value, n.Emit("Add", {value, largest}));
  const Shape& shape = n.ShapeOf(value);
  std::vector<int64_t> sizes;
  for (int axis = 0; axis < shape.rank(); ++axis) {
    if (!std::ranges::binary_search(reduction.axes, axis)) sizes.push_back(shape[axis]);
  }
  return n.Give("Reshape", {value}, {{"shape", std::move(sizes)}});
}

// Before opset 13 the sum runs over all axes from `axis` on, as if they were one.
Status ImportSoftmax(NodeImport& n) {
  WSI_RETURN_IF_ERROR(n.RequireInputs(1));
  const Shape shape = n.InputShape(0);
  const bool flattens = n.opset() < 13;
  WSI_ASSIGN_OR_RETURN(const int axis,
                       NormalizeAxis(n.Int("axis", flattens ? 1 : -1), shape.rank()));
  if (!flattens || axis == shape.rank() - 1) {
    return n.Give(n.op(), {n.Input(0)}, {{"axis", int64_t{axis}}});
  }
  std::vector<int64_t> matrix = {1, 1};
  for (int i = 0; i < shape.rank(); ++i) matrix[i < axis ? 0 : 1] *= shape[i];
  WSI_ASSIGN_OR_RETURN(ValueId value, n.Emit("Reshape", {n.Input(0)}, {{"shape", matrix}}));
  WSI_ASSIGN_OR_RETURN(value, n.Emit(n.op(), {value}, {{"axis", int64_t{1}}}));
  return n.Give("Reshape", {value}, {{"shape", std::vector<int64_t>(shape.begin(), shape.end())}});
}

namespace {

Result<ValueId> Reshaped(NodeImport& n, ValueId value, const Shape& shape) {
  return n.Emit("Reshape", {value}, {{"shape", std::vector<int64_t>(shape.begin(), shape.end())}});
}

// -weight[t] * x[.., t, ..] for each target t, 0 where it is to be ignored.
Status GiveLosses(NodeImport& n, ValueId log_prob) {
  const Shape targets = n.InputShape(1);
  const Shape scores = n.InputShape(0);
  if (scores.rank() < 2 || scores.rank() != targets.rank() + 1) {
    return InvalidInput(
        fmt::format("scores {} do not go with targets {}", scores.ToString(), targets.ToString()));
  }
  ValueId target = n.Input(1);
  ValueId ignored;
  WSI_ASSIGN_OR_RETURN(const ValueId first, n.NumberLike(target, 0));
  if (n.HasAttribute("ignore_index")) {
    WSI_ASSIGN_OR_RETURN(const ValueId index,
                         n.NumberLike(target, static_cast<double>(n.Int("ignore_index", 0))));
    WSI_ASSIGN_OR_RETURN(ignored, n.Emit("Equal", {target, index}));
    WSI_ASSIGN_OR_RETURN(target, n.Emit("Where", {ignored, first, target}));
  }
  std::vector<int64_t> column(targets.begin(), targets.end());
  column.insert(column.begin() + 1, 1);
  WSI_ASSIGN_OR_RETURN(const Shape one, Shape::Make(column));
  WSI_ASSIGN_OR_RETURN(const ValueId index, Reshaped(n, target, one));
  WSI_ASSIGN_OR_RETURN(ValueId loss,
                       n.Emit("GatherElements", {log_prob, index}, {{"axis", int64_t{1}}}));
  WSI_ASSIGN_OR_RETURN(loss, Reshaped(n, loss, targets));
  if (n.HasInput(2)) {
    WSI_ASSIGN_OR_RETURN(ValueId weight, Reshaped(n, target, Shape{targets.ElementCount()}));
    WSI_ASSIGN_OR_RETURN(weight, n.Emit("Gather", {n.Input(2), weight}, {{"axis", int64_t{0}}}));
    WSI_ASSIGN_OR_RETURN(weight, Reshaped(n, weight, targets));
    WSI_ASSIGN_OR_RETURN(loss, n.Emit("Mul", {loss, weight}));
  }
  if (!ignored.valid()) return n.Give("Neg", {loss});
  WSI_ASSIGN_OR_RETURN(loss, n.Emit("Neg", {loss}));
  WSI_ASSIGN_OR_RETURN(const ValueId zero, n.NumberLike(loss, 0));
  return n.Give("Where", {ignored, zero, loss});
}

}  // namespace

Status ImportClassificationLoss(NodeImport& n) {
  WSI_RETURN_IF_ERROR(n.RequireInputs(2));
  if (n.String("reduction", "mean") == "none") {
    ValueId log_prob = n.Input(0);
    if (n.op() == "SoftmaxCrossEntropyLoss") {
      WSI_ASSIGN_OR_RETURN(log_prob, n.Emit("LogSoftmax", {log_prob}, {{"axis", int64_t{1}}}));
      n.SetOutput(1, log_prob);
    }
    return GiveLosses(n, log_prob);
  }
  Attributes attributes{{"reduction", n.String("reduction", "mean")}};
  if (n.HasAttribute("ignore_index")) attributes.Set("ignore_index", n.Int("ignore_index", 0));
  if (n.op() == "NegativeLogLikelihoodLoss") return n.Give(n.op(), n.inputs(), attributes);
  return n.GiveMany(n.op(), n.inputs(), attributes, 2);
}

}  // namespace wsi
