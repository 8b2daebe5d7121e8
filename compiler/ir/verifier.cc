#include "compiler/ir/verifier.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "compiler/ops/op_def.h"

namespace wsi {
namespace {

std::string TypeText(DType dtype, const Shape& shape) {
  return std::string(DTypeName(dtype)) + shape.ToString();
}

class Verifier {
 public:
  explicit Verifier(const Graph& graph)
      : graph_(graph),
        is_defined_(static_cast<size_t>(graph.value_count()), false),
        step_(static_cast<size_t>(graph.node_count()), -1),
        last_reader_(static_cast<size_t>(graph.value_count())) {}

  Status Run();

 private:
  Status CheckOrder();
  Status CheckValue(ValueId id, std::unordered_set<std::string>& names) const;
  Status CheckTensor(const Value& value) const;
  Status CheckNode(NodeId id);
  Status CheckOperator(NodeId id) const;
  static Status CheckTiers(const OpDef& def, const OpView& view);
  Status CheckReference(ValueId id, std::string_view what) const;
  Status CheckOnDevice(ValueId id) const;
  Status CheckUpdate(const StateUpdate& update) const;
  Status CheckReads(ValueId old, const StateUpdate& update) const;
  Status CheckUpdates() const;
  Status CheckGradients() const;
  Status CheckResults() const;

  bool InRange(ValueId id) const { return id.index >= 0 && id.index < graph_.value_count(); }
  int64_t StepOf(NodeId id) const { return step_[static_cast<size_t>(id.index)]; }
  std::string Where(const Node& node) const { return fmt::format("{} '{}'", node.op, node.name); }

  const Graph& graph_;
  std::vector<bool> is_defined_;     // By value: before the step, or by a node seen so far.
  std::vector<int64_t> step_;        // By node: its place in the order; -1: not in it.
  std::vector<NodeId> last_reader_;  // By value; invalid: nobody reads it.
};

Status Verifier::CheckOrder() {
  for (size_t s = 0; s < graph_.order().size(); ++s) {
    const NodeId id = graph_.order()[s];
    if (id.index < 0 || id.index >= graph_.node_count()) {
      return InvalidInput(
          fmt::format("step {} runs node {} of {}", s, id.index, graph_.node_count()));
    }
    int64_t& step = step_[static_cast<size_t>(id.index)];
    if (step >= 0) {
      return InvalidInput(
          fmt::format("{} runs twice, at steps {} and {}", Where(graph_.node(id)), step, s));
    }
    step = static_cast<int64_t>(s);
  }
  return {};
}

Status Verifier::CheckTensor(const Value& value) const {
  const auto rank = static_cast<size_t>(value.shape.rank());
  std::vector<bool> seen(rank, false);
  if (!value.permutation.empty() && value.permutation.size() != rank) {
    return InvalidInput(fmt::format("%{}: permutation of {} axes for rank {}", value.name,
                                    value.permutation.size(), rank));
  }
  for (const int64_t axis : value.permutation) {
    if (axis < 0 || axis >= static_cast<int64_t>(rank) || seen[static_cast<size_t>(axis)]) {
      return InvalidInput(fmt::format("%{}: axis {} in its permutation", value.name, axis));
    }
    seen[static_cast<size_t>(axis)] = true;
  }
  const Tensor* tensor = value.tensor.empty() ? nullptr : graph_.tensors().Find(value.tensor);
  if (tensor == nullptr) return {};
  Shape expected = tensor->shape();
  if (!value.permutation.empty()) {
    if (expected.rank() != value.shape.rank()) expected = {};
    if (expected.rank() != 0) expected = PermuteShape(expected, value.permutation);
  }
  if (expected == value.shape) return {};
  return InvalidInput(fmt::format("%{} has shape {}, but its tensor '{}' has {}", value.name,
                                  value.shape.ToString(), value.tensor,
                                  tensor->shape().ToString()));
}

Status Verifier::CheckValue(ValueId id, std::unordered_set<std::string>& names) const {
  const Value& value = graph_.value(id);
  if (value.name.empty() || !names.insert(value.name).second ||
      graph_.FindValue(value.name) != id) {
    return InvalidInput(fmt::format("two values are called '{}'", value.name));
  }
  const bool is_made = value.role == Role::kIntermediate;
  if (is_made != value.producer.valid()) {
    return InvalidInput(fmt::format("%{} {}", value.name,
                                    is_made ? "has no producer"
                                            : "is not made by a node, but "
                                              "names a producer"));
  }
  if (!IsPersistent(value.role) && !value.tensor.empty()) {
    return InvalidInput(fmt::format("%{} does not persist, but has a tensor", value.name));
  }
  if (value.tier != Tier::kDevice && !IsPersistent(value.role) &&
      value.role != Role::kIntermediate) {
    return InvalidInput(
        fmt::format("%{} is written from outside, but not to the device", value.name));
  }
  const bool has_model_axes =
      IsPersistent(value.role) || value.role == Role::kInput || value.role == Role::kTarget;
  if (!has_model_axes && !value.permutation.empty()) {
    return InvalidInput(
        fmt::format("%{} is no tensor of the model, but has a permutation", value.name));
  }
  return CheckTensor(value);
}

// Copies go between neighbouring tiers; whatever is launched works on the device.
Status Verifier::CheckTiers(const OpDef& def, const OpView& view) {
  if (def.lowers_to == LowersTo::kNothing) return {};
  if (def.lowers_to == LowersTo::kCopy) {
    const int from = static_cast<int>(view.input(0).tier);
    const int to = static_cast<int>(view.output(0).tier);
    if (from - to == 1 || to - from == 1) return {};
    return InvalidInput("copies between tiers that are not neighbours");
  }
  const auto check = [](const Value& value) -> Status {
    if (value.tier == Tier::kDevice) return {};
    return InvalidInput(fmt::format("operand %{} is not in the device tier", value.name));
  };
  for (int i = 0; i < view.input_count(); ++i) {
    if (view.HasInput(i)) WSI_RETURN_IF_ERROR(check(view.input(i)));
  }
  for (int i = 0; i < view.output_count(); ++i) {
    if (view.HasOutput(i)) WSI_RETURN_IF_ERROR(check(view.output(i)));
  }
  return {};
}

Status Verifier::CheckOperator(NodeId id) const {
  const Node& node = graph_.node(id);
  const OpDef* def = FindOp(node.op);
  if (def == nullptr) return InvalidInput("no such operator");
  const OpView view(graph_, id);
  const auto in_arity = [](int count, int min, int max) {
    return count >= min && (max < 0 || count <= max);
  };
  if (!in_arity(view.input_count(), def->min_inputs, def->max_inputs)) {
    return InvalidInput(fmt::format("has {} inputs", view.input_count()));
  }
  if (!in_arity(view.output_count(), def->min_outputs, def->max_outputs)) {
    return InvalidInput(fmt::format("has {} outputs", view.output_count()));
  }
  for (int i = 0; i < def->min_inputs; ++i) {
    if (!view.HasInput(i)) return InvalidInput(fmt::format("lacks input {}", i));
  }
  WSI_RETURN_IF_ERROR(CheckTiers(*def, view));
  WSI_ASSIGN_OR_RETURN(const std::vector<TensorType> types, def->infer(view));
  for (int i = 0; i < view.output_count(); ++i) {
    if (!view.HasOutput(i)) continue;
    if (static_cast<size_t>(i) >= types.size()) {
      return InvalidInput(fmt::format("has no output {}", i));
    }
    const TensorType& type = types[static_cast<size_t>(i)];
    const Value& output = view.output(i);
    if (output.dtype == type.dtype && output.shape == type.shape) continue;
    return InvalidInput(fmt::format("output %{} is {}, but the operator gives {}", output.name,
                                    TypeText(output.dtype, output.shape),
                                    TypeText(type.dtype, type.shape)));
  }
  return {};
}

Status Verifier::CheckNode(NodeId id) {
  const Node& node = graph_.node(id);
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    const ValueId input = node.inputs[i];
    if (input == ValueId{}) continue;
    if (!InRange(input)) {
      return InvalidInput(fmt::format("{}: input {} is no value", Where(node), i));
    }
    if (!is_defined_[static_cast<size_t>(input.index)]) {
      return InvalidInput(
          fmt::format("{}: reads %{} before it is made", Where(node), graph_.value(input).name));
    }
    last_reader_[static_cast<size_t>(input.index)] = id;
  }
  for (size_t i = 0; i < node.outputs.size(); ++i) {
    const ValueId output = node.outputs[i];
    if (output == ValueId{}) continue;
    if (!InRange(output) || graph_.value(output).producer != id) {
      return InvalidInput(fmt::format("{}: output {} is not a value of its own", Where(node), i));
    }
    if (is_defined_[static_cast<size_t>(output.index)]) {
      return InvalidInput(
          fmt::format("{}: makes %{} twice", Where(node), graph_.value(output).name));
    }
  }
  WSI_RETURN_IF_ERROR(CheckOperator(id).WithContext(Where(node)));
  for (const ValueId output : node.outputs) {
    if (output.valid()) is_defined_[static_cast<size_t>(output.index)] = true;
  }
  if (node.workspace_bytes < 0) {
    return InvalidInput(
        fmt::format("{}: workspace of {} bytes", Where(node), node.workspace_bytes));
  }
  return {};
}

Status Verifier::CheckReference(ValueId id, std::string_view what) const {
  if (!InRange(id)) return InvalidInput(fmt::format("the {} is no value", what));
  const Value& value = graph_.value(id);
  if (!is_defined_[static_cast<size_t>(id.index)]) {
    return InvalidInput(fmt::format("the {} %{} is never made", what, value.name));
  }
  return {};
}

Status Verifier::CheckOnDevice(ValueId id) const {
  if (graph_.value(id).tier == Tier::kDevice) return {};
  return InvalidInput(
      fmt::format("%{} is read from outside, but not on the device", graph_.value(id).name));
}

// `old` is what the state's memory holds until the update: the state itself, or the
// value of the update before this one.
Status Verifier::CheckReads(ValueId old, const StateUpdate& update) const {
  const NodeId maker = graph_.value(update.value).producer;
  const Node& node = graph_.node(maker);
  const NodeId old_maker = graph_.value(old).producer;
  if (old_maker.valid() && StepOf(old_maker) >= StepOf(maker)) {
    return InvalidInput(fmt::format("the updates of %{} are not in the order of their nodes",
                                    graph_.value(update.state).name));
  }
  const NodeId reader = last_reader_[static_cast<size_t>(old.index)];
  if (reader.valid() && StepOf(reader) > StepOf(maker)) {
    return InvalidInput(fmt::format("{} reads %{} behind {}, which updates it",
                                    Where(graph_.node(reader)), graph_.value(old).name,
                                    Where(node)));
  }
  const auto pairs = FindOp(node.op)->in_place;
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    if (node.inputs[i] != old) continue;
    const bool is_allowed = std::any_of(pairs.begin(), pairs.end(), [&](const auto& pair) {
      return pair.second == static_cast<int>(i) &&
             pair.first < static_cast<int>(node.outputs.size()) &&
             node.outputs[static_cast<size_t>(pair.first)] == update.value;
    });
    if (is_allowed) continue;
    return InvalidInput(fmt::format("{}: cannot update %{} in place, which it reads as input {}",
                                    Where(node), graph_.value(old).name, i));
  }
  return {};
}

Status Verifier::CheckUpdate(const StateUpdate& update) const {
  WSI_RETURN_IF_ERROR(CheckReference(update.state, "updated state"));
  WSI_RETURN_IF_ERROR(CheckReference(update.value, "update's value"));
  const Value& state = graph_.value(update.state);
  const Value& value = graph_.value(update.value);
  if (state.role != Role::kParameter && state.role != Role::kState) {
    return InvalidInput(fmt::format("%{} is updated, but is no parameter or state", state.name));
  }
  if (value.role != Role::kIntermediate) {
    return InvalidInput(
        fmt::format("%{} is updated to %{}, which no node makes", state.name, value.name));
  }
  if (state.tier != value.tier) {
    return InvalidInput(
        fmt::format("%{} is updated to %{}, which lies in another tier", state.name, value.name));
  }
  if (state.dtype != value.dtype || state.shape != value.shape) {
    return InvalidInput(fmt::format("%{} is {}, but is updated to %{}, which is {}", state.name,
                                    TypeText(state.dtype, state.shape), value.name,
                                    TypeText(value.dtype, value.shape)));
  }
  return {};
}

Status Verifier::CheckResults() const {
  for (const ValueId output : graph_.outputs) {
    WSI_RETURN_IF_ERROR(CheckReference(output, "graph's output"));
    WSI_RETURN_IF_ERROR(CheckOnDevice(output));
  }
  if (graph_.loss.valid()) {
    WSI_RETURN_IF_ERROR(CheckReference(graph_.loss, "loss"));
    WSI_RETURN_IF_ERROR(CheckOnDevice(graph_.loss));
    const Value& loss = graph_.value(graph_.loss);
    if (loss.shape.ElementCount() != 1 || !IsFloat(loss.dtype)) {
      return InvalidInput(fmt::format("the loss %{} is {}, not one floating-point number",
                                      loss.name, TypeText(loss.dtype, loss.shape)));
    }
  }
  WSI_RETURN_IF_ERROR(CheckUpdates());
  return CheckGradients();
}

Status Verifier::CheckUpdates() const {
  std::unordered_map<int32_t, ValueId> held;  // By state: the value of its latest update.
  std::unordered_set<int32_t> values;
  for (const StateUpdate& update : graph_.updates) {
    WSI_RETURN_IF_ERROR(CheckUpdate(update));
    if (!values.insert(update.value.index).second) {
      return InvalidInput(
          fmt::format("%{} stands in two updates", graph_.value(update.value).name));
    }
    ValueId& old = held.try_emplace(update.state.index, update.state).first->second;
    WSI_RETURN_IF_ERROR(CheckReads(old, update));
    old = update.value;
  }
  return {};
}

Status Verifier::CheckGradients() const {
  for (const ParameterGradient& pair : graph_.gradients) {
    WSI_RETURN_IF_ERROR(CheckReference(pair.parameter, "differentiated parameter"));
    WSI_RETURN_IF_ERROR(CheckReference(pair.gradient, "gradient"));
    WSI_RETURN_IF_ERROR(CheckOnDevice(pair.gradient));
    const Value& parameter = graph_.value(pair.parameter);
    const Value& gradient = graph_.value(pair.gradient);
    if (parameter.role != Role::kParameter || parameter.dtype != gradient.dtype ||
        parameter.shape != gradient.shape) {
      return InvalidInput(fmt::format("%{} is no gradient of %{}: not a parameter of its type",
                                      gradient.name, parameter.name));
    }
  }
  return {};
}

Status Verifier::Run() {
  WSI_RETURN_IF_ERROR(CheckOrder());
  std::unordered_set<std::string> names;
  for (int32_t i = 0; i < graph_.value_count(); ++i) {
    WSI_RETURN_IF_ERROR(CheckValue(ValueId{i}, names));
    is_defined_[static_cast<size_t>(i)] = graph_.value(ValueId{i}).role != Role::kIntermediate;
  }
  for (const NodeId id : graph_.order()) WSI_RETURN_IF_ERROR(CheckNode(id));
  return CheckResults();
}

}  // namespace

Status VerifyGraph(const Graph& graph) {
  WSI_RETURN_IF_ERROR(Verifier(graph).Run());
  return VerifyBuffers(graph);
}

}  // namespace wsi
