// Normalizations and dropout.
#include <fmt/format.h>

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

}  // namespace

Status ImportBatchNormalization(NodeImport& n) {
  WSI_RETURN_IF_ERROR(n.RequireInputs(5));
  if (n.opset() < 9 && n.Int("spatial", 1) != 1) {
    return InvalidInput("spatial=0 (statistics per position) is not supported");
  }
  WSI_ASSIGN_OR_RETURN(const int64_t training, TrainingMode(n));
  WSI_ASSIGN_OR_RETURN(const ValueId mean, OwnState(n, 3));
  WSI_ASSIGN_OR_RETURN(const ValueId variance, OwnState(n, 4));
  return n.GiveMany("BatchNormalization", {n.Input(0), n.Input(1), n.Input(2), mean, variance},
                    {{"epsilon", n.Float("epsilon", 1e-5F)},
                     {"momentum", n.Float("momentum", 0.9F)},
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
                {{"num_groups", groups}, {"epsilon", n.Float("epsilon", 1e-5F)}});
}

// A group of its own for every channel.
Status ImportInstanceNormalization(NodeImport& n) {
  WSI_RETURN_IF_ERROR(n.RequireInputs(3));
  if (n.InputShape(0).rank() < 2) return InvalidInput("its input has no channels");
  return n.Give("GroupNormalization", n.inputs(),
                {{"num_groups", n.InputShape(0)[1]}, {"epsilon", n.Float("epsilon", 1e-5F)}});
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
  if ((!training || ratio == 0) && !n.WantsOutput(1)) {
    n.SetOutput(0, n.Input(0));
    return {};
  }
  return n.GiveMany("Dropout", {n.Input(0)},
                    {{"ratio", training ? ratio : 0.0}, {"seed_id", int64_t{n.index()}}}, 2);
}

}  // namespace wsi
