#include "compiler/ir/graph.h"

#include <fmt/format.h>

#include <algorithm>

namespace wsi {

const Tensor& TensorStore::Add(std::string key, Tensor tensor) {
  const auto [at, is_new] = tensors_.emplace(std::move(key), std::move(tensor));
  WSI_CHECK(is_new);
  return at->second;
}

const Tensor* TensorStore::Find(std::string_view key) const {
  const auto at = tensors_.find(key);
  return at == tensors_.end() ? nullptr : &at->second;
}

std::string Graph::UniqueName(std::string base) const {
  if (base.empty()) base = "value";
  if (!value_by_name_.contains(base)) return base;
  for (int suffix = 1;; ++suffix) {
    std::string candidate = fmt::format("{}.{}", base, suffix);
    if (!value_by_name_.contains(candidate)) return candidate;
  }
}

ValueId Graph::AddValue(Value value) {
  value.name = UniqueName(std::move(value.name));
  const ValueId id{value_count()};
  value_by_name_.emplace(value.name, id.index);
  values_.push_back(std::move(value));
  return id;
}

NodeId Graph::AddNode(Node node, std::span<const std::string> output_names) {
  const NodeId id{node_count()};
  node.outputs.clear();
  for (const std::string& output_name : output_names) {
    if (output_name.empty()) {
      node.outputs.emplace_back();
      continue;
    }
    Value value;
    value.name = output_name;
    value.producer = id;
    node.outputs.push_back(AddValue(std::move(value)));
  }
  nodes_.push_back(std::move(node));
  order_.push_back(id);
  return id;
}

ValueId Graph::AddOutput(NodeId node_id, int index, std::string output_name) {
  Value value;
  value.name = std::move(output_name);
  value.producer = node_id;
  const ValueId id = AddValue(std::move(value));
  std::vector<ValueId>& slots = node(node_id).outputs;
  const auto position = static_cast<size_t>(index);
  if (slots.size() <= position) slots.resize(position + 1);
  WSI_CHECK(!slots[position].valid());
  slots[position] = id;
  return id;
}

Value& Graph::value(ValueId id) {
  WSI_CHECK(id.valid() && id.index < value_count());
  return values_[static_cast<size_t>(id.index)];
}
const Value& Graph::value(ValueId id) const {
  WSI_CHECK(id.valid() && id.index < value_count());
  return values_[static_cast<size_t>(id.index)];
}
Node& Graph::node(NodeId id) {
  WSI_CHECK(id.valid() && id.index < node_count());
  return nodes_[static_cast<size_t>(id.index)];
}
const Node& Graph::node(NodeId id) const {
  WSI_CHECK(id.valid() && id.index < node_count());
  return nodes_[static_cast<size_t>(id.index)];
}

ValueId Graph::FindValue(std::string_view value_name) const {
  const auto at = value_by_name_.find(std::string(value_name));
  return at == value_by_name_.end() ? ValueId{} : ValueId{at->second};
}

void Graph::RenameValue(ValueId id, std::string new_name) {
  value_by_name_.erase(value(id).name);
  new_name = UniqueName(std::move(new_name));
  value_by_name_.emplace(new_name, id.index);
  value(id).name = std::move(new_name);
}

void Graph::ReplaceUses(ValueId from, ValueId to) {
  const auto replace = [&](ValueId& id) {
    if (id == from) id = to;
  };
  for (const NodeId id : order_) {
    for (ValueId& input : node(id).inputs) replace(input);
  }
  for (ValueId& output : outputs) replace(output);
  for (StateUpdate& update : updates) replace(update.value);
  for (ParameterGradient& pair : gradients) replace(pair.gradient);
  replace(loss);
}

void Graph::Compact() {
  std::vector<Value> values;
  std::vector<ValueId> renumbered(values_.size());
  const auto keep = [&](ValueId& id) {
    if (!id.valid()) return;
    ValueId& fresh = renumbered[static_cast<size_t>(id.index)];
    if (!fresh.valid()) {
      fresh = ValueId{static_cast<int32_t>(values.size())};
      values.push_back(std::move(value(id)));
    }
    id = fresh;
  };
  for (int32_t i = 0; i < value_count(); ++i) {
    ValueId id{i};
    const Role role = value(id).role;
    if (role == Role::kInput || role == Role::kTarget) keep(id);
  }
  std::vector<Node> nodes;
  for (const NodeId id : order_) {
    const NodeId fresh{static_cast<int32_t>(nodes.size())};
    Node& old = node(id);
    for (const ValueId output : old.outputs) {
      if (output.valid()) value(output).producer = fresh;
    }
    for (ValueId& input : old.inputs) keep(input);
    for (ValueId& output : old.outputs) keep(output);
    nodes.push_back(std::move(old));
  }
  for (ValueId& output : outputs) keep(output);
  keep(loss);
  for (StateUpdate& update : updates) {
    keep(update.state);
    keep(update.value);
  }
  for (ParameterGradient& pair : gradients) {
    keep(pair.parameter);
    keep(pair.gradient);
  }
  values_ = std::move(values);
  nodes_ = std::move(nodes);
  order_.resize(nodes_.size());
  for (int32_t i = 0; i < node_count(); ++i) order_[static_cast<size_t>(i)] = NodeId{i};
  value_by_name_.clear();
  for (int32_t i = 0; i < value_count(); ++i) {
    value_by_name_.emplace(values_[static_cast<size_t>(i)].name, i);
  }
}

const Tensor* Graph::ConstantTensor(ValueId id) const {
  const Value& v = value(id);
  if (v.role != Role::kConstant || !v.permutation.empty()) return nullptr;
  return tensors_->Find(v.tensor);
}

ValueId Graph::AddConstant(std::string_view base_name, Tensor tensor) {
  std::string key(base_name);
  for (int suffix = 1; tensors_->Find(key) != nullptr; ++suffix) {
    key = fmt::format("{}.{}", base_name, suffix);
  }
  Value constant;
  constant.name = key;
  constant.dtype = tensor.dtype();
  constant.shape = tensor.shape();
  constant.role = Role::kConstant;
  constant.tensor = key;
  tensors_->Add(std::move(key), std::move(tensor));
  return AddValue(std::move(constant));
}

std::vector<std::vector<Use>> ComputeUses(const Graph& graph) {
  std::vector<std::vector<Use>> uses(static_cast<size_t>(graph.value_count()));
  for (const NodeId id : graph.order()) {
    const Node& node = graph.node(id);
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      const ValueId input = node.inputs[i];
      if (input.valid())
        uses[static_cast<size_t>(input.index)].push_back({id, static_cast<int>(i)});
    }
  }
  return uses;
}

}  // namespace wsi
