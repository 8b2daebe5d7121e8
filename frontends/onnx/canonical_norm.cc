// Normalizations and dropout.
#include <fmt/format.h>

#include <algorithm>

#include "frontends/onnx/canonical.h"
#include "frontends/onnx/printable.h"

namespace wsi {
namespace {

// The running statistic at operand `i`, as state of this layer alone. Exporters let
// equal tensors share one initializer; a layer that updates its statistics must not
// change those of another, nor a parameter that happened to hold the same numbers.
Result<ValueId> OwnState(NodeImport& n, int i) {
  Graph& graph = n.state().graph;
  const Value& shared = graph.value(n.Input(i));
  if (!IsPersistent(shared.role)) {
    return InvalidInput(fmt::format("{} is computed, but must be an initializer",
                                    i == 3 ? "running mean" : "running variance"));
  }
  if (shared.role == Role::kState && n.state().claimed_state.insert(shared.tensor).second) {
    return n.Input(i);
  }
  const std::string base = n.InputName(i);
  std::string key = base;
  for (int suffix = 1; graph.tensors().Find(key) != nullptr; ++suffix) {
    key = fmt::format("{}.{}", base, suffix);
  }
  WSI_ASSIGN_OR_RETURN(Tensor copy, graph.tensors().Find(shared.tensor)->Clone());
  Value own;
  own.name = key;
  own.tensor = key;
  own.dtype = shared.dtype;
  own.shape = shared.shape;
  own.role = Role::kState;
  n.state().claimed_state.insert(key);
  graph.tensors().Add(std::move(key), std::move(copy));
  return graph.AddValue(std::move(own));
}

// Opset 14 states the mode; before, more than one output meant training.
Result<int64_t> TrainingMode(NodeImport& n) {
  if (n.WantsOutput(3) || n.WantsOutput(4)) {
    return InvalidInput("its outputs saved_mean and saved_var are not supported");
  }
  if (n.opset() >= 14) return n.Int("training_mode", 0) != 0 ? 1 : 0;
  for (int i = 1; i < n.output_count(); ++i) {
    if (n.HasOutputName(i)) return 1;
  }
  return 0;
}

Result<ValueId> PerChannel(NodeImport& n, ValueId value, int rank) {
  std::vector<int64_t> sizes(static_cast<size_t>(std::max(rank - 1, 1)), 1);
  sizes[0] = n.ShapeOf(value).ElementCount();
  return n.Emit("Reshape", {value}, {{"shape", std::move(sizes)}});
}

// a * momentum + b * (1 - momentum)
Status GiveAverage(NodeImport& n, int output, ValueId a, ValueId b, double momentum) {
  WSI_ASSIGN_OR_RETURN(const ValueId old, n.NumberLike(a, momentum));
  WSI_ASSIGN_OR_RETURN(const ValueId fresh, n.NumberLike(b, 1 - momentum));
  WSI_ASSIGN_OR_RETURN(const ValueId first, n.Emit("Mul", {a, old}));
  WSI_ASSIGN_OR_RETURN(const ValueId second, n.Emit("Mul", {b, fresh}));
  return n.GiveAt(output, "Add", {first, second}, {});
}

// (x - mean) / sqrt(var + epsilon) * scale + bias, where the statistics are no state of the
// layer but computed or given.
Status GiveStateless(NodeImport& n, bool training) {
  const int rank = n.InputShape(0).rank();
  ValueId mean = n.Input(3);
  ValueId variance = n.Input(4);
  if (training) {
    std::vector<int64_t> axes = {0};
    for (int64_t axis = 2; axis < rank; ++axis) axes.push_back(axis);
    const Attributes all = {{"axes", axes}, {"keepdims", int64_t{0}}};
    WSI_ASSIGN_OR_RETURN(mean, n.Emit("ReduceMean", {n.Input(0)}, all));
    WSI_ASSIGN_OR_RETURN(const ValueId center, PerChannel(n, mean, rank));
    WSI_ASSIGN_OR_RETURN(ValueId centered, n.Emit("Sub", {n.Input(0), center}));
    WSI_ASSIGN_OR_RETURN(centered, n.Emit("Mul", {centered, centered}));
    WSI_ASSIGN_OR_RETURN(variance, n.Emit("ReduceMean", {centered}, all));
    const double momentum = n.Float("momentum", 0.9);
    if (n.WantsOutput(1)) WSI_RETURN_IF_ERROR(GiveAverage(n, 1, n.Input(3), mean, momentum));
    if (n.WantsOutput(2)) WSI_RETURN_IF_ERROR(GiveAverage(n, 2, n.Input(4), variance, momentum));
  }
  n.Ignore("momentum");
  WSI_ASSIGN_OR_RETURN(const ValueId epsilon, n.NumberLike(variance, n.Float("epsilon", 1e-5)));
  WSI_ASSIGN_OR_RETURN(ValueId deviation, n.Emit("Add", {variance, epsilon}));
  WSI_ASSIGN_OR_RETURN(deviation, n.Emit("Sqrt", {deviation}));
  WSI_ASSIGN_OR_RETURN(ValueId factor, n.Emit("Div", {n.Input(1), deviation}));
  WSI_ASSIGN_OR_RETURN(factor, PerChannel(n, factor, rank));
  WSI_ASSIGN_OR_RETURN(const ValueId center, PerChannel(n, mean, rank));
  WSI_ASSIGN_OR_RETURN(const ValueId bias, PerChannel(n, n.Input(2), rank));
  WSI_ASSIGN_OR_RETURN(ValueId value, n.Emit("Sub", {n.Input(0), center}));
  WSI_ASSIGN_OR_RETURN(value, n.Emit("Mul", {value, factor}));
  return n.Give("Add", {value, bias});
}

}  // namespace

Status ImportBatchNormalization(NodeImport& n) {
  WSI_RETURN_IF_ERROR(n.RequireInputs(5));
  if (n.opset() < 9 && n.Int("spatial", 1) != 1) {
    return InvalidInput("spatial=0 (statistics per position) is not supported");
  }
  WSI_ASSIGN_OR_RETURN(const int64_t training, TrainingMode(n));
  const Graph& graph = n.state().graph;
  if (!IsPersistent(graph.value(n.Input(3)).role) && !IsPersistent(graph.value(n.Input(4)).role)) {
    return GiveStateless(n, training != 0);
  }
  WSI_ASSIGN_OR_RETURN(const ValueId mean, OwnState(n, 3));
  WSI_ASSIGN_OR_RETURN(const ValueId variance, OwnState(n, 4));
  return n.GiveMany("BatchNormalization", {n.Input(0), n.Input(1), n.Input(2), mean, variance},
                    {{"epsilon", n.Float("epsilon", 1e-5)},
                     {"momentum", n.Float("momentum", 0.9)},
                     {"training_mode", training}},
                    training != 0 ? 3 : 1);
}

namespace {

// Opset 18 has one scale and bias per group: spreads them over the group's channels.
Result<ValueId> SpreadOverGroup(NodeImport& n, int i, int64_t groups, int64_t channels) {
  const Shape& shape = n.InputShape(i);
  if (shape != Shape({groups}) || groups <= 0 || channels % groups != 0) {
    return InvalidInput(fmt::format("scale or bias is {}, num_groups {}, channels {}",
                                    shape.ToString(), groups, channels));
  }
  WSI_ASSIGN_OR_RETURN(
      ValueId value, n.Emit("Reshape", {n.Input(i)}, {{"shape", std::vector<int64_t>{groups, 1}}}));
  WSI_ASSIGN_OR_RETURN(value, n.Emit("Expand", {value},
                                     {{"shape", std::vector<int64_t>{groups, channels / groups}}}));
  return n.Emit("Reshape", {value}, {{"shape", std::vector<int64_t>{channels}}});
}

}  // namespace

Status ImportGroupNormalization(NodeImport& n) {
  WSI_RETURN_IF_ERROR(n.RequireInputs(3));
  if (n.InputShape(0).rank() < 2) return InvalidInput("its input has no channels");
  n.Ignore("stash_type");  // The precision of the statistics: fp32 here in any case.
  const int64_t groups = n.RequiredInt("num_groups");
  const int64_t channels = n.InputShape(0)[1];
  ValueId scale = n.Input(1);
  ValueId bias = n.Input(2);
  if (n.opset() < 21) {
    WSI_ASSIGN_OR_RETURN(scale, SpreadOverGroup(n, 1, groups, channels));
    WSI_ASSIGN_OR_RETURN(bias, SpreadOverGroup(n, 2, groups, channels));
  }
  return n.Give("GroupNormalization", {n.Input(0), scale, bias},
                {{"num_groups", groups}, {"epsilon", n.Float("epsilon", 1e-5)}});
}

// A group of its own for every channel.
Status ImportInstanceNormalization(NodeImport& n) {
  WSI_RETURN_IF_ERROR(n.RequireInputs(3));
  if (n.InputShape(0).rank() < 2) return InvalidInput("its input has no channels");
  return n.Give("GroupNormalization", n.inputs(),
                {{"num_groups", n.InputShape(0)[1]}, {"epsilon", n.Float("epsilon", 1e-5)}});
}

// Opset 12 states the mode; before, the operator is there only in a training graph.
Status ImportDropout(NodeImport& n) {
  WSI_RETURN_IF_ERROR(n.RequireInputs(1));
  n.Ignore("seed");  // Randomness comes from the run's seed and seed_id.
  double ratio = 0.5;
  bool training = true;
  if (n.opset() < 12) {
    ratio = n.Float("ratio", 0.5);
  } else {
    if (n.HasInput(1)) {
      WSI_ASSIGN_OR_RETURN(ratio, n.StaticFloat(1, "ratio"));
    }
    training = false;
    if (n.HasInput(2)) {
      WSI_ASSIGN_OR_RETURN(const double mode, n.StaticFloat(2, "training_mode"));
      training = mode != 0;
    }
  }
  if (!(ratio >= 0 && ratio < 1)) {
    return InvalidInput(fmt::format("ratio is {}; allowed are 0 to below 1", ratio));
  }
  if (!training || ratio == 0) {
    n.SetOutput(0, n.Input(0));
    if (!n.WantsOutput(1)) return {};
    const Shape& x = n.InputShape(0);
    return n.GiveAt(1, "Fill", {},
                    {{"dtype", std::string("bool")},
                     {"shape", std::vector<int64_t>(x.begin(), x.end())},
                     {"value", int64_t{1}}});
  }
  return n.GiveMany("Dropout", {n.Input(0)}, {{"ratio", ratio}, {"seed_id", int64_t{n.index()}}},
                    2);
}

}  // namespace wsi
