#include "frontends/onnx/node_import.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "compiler/ops/op_def.h"
#include "frontends/onnx/meant_number.h"
#include "frontends/onnx/onnx_proto.h"
#include "frontends/onnx/printable.h"

namespace wsi {

using onnx::AttributeProto;

NodeImport::NodeImport(ImportState& state, onnx::NodeProto& proto, int index,
                       std::vector<ValueId> inputs)
    : state_(state),
      proto_(proto),
      index_(index),
      inputs_(std::move(inputs)),
      results_(static_cast<size_t>(proto.output_size())) {
  name_ = proto.name();
  for (int i = 0; name_.empty() && i < proto.output_size(); ++i) name_ = proto.output(i);
  while (!inputs_.empty() && !inputs_.back().valid()) inputs_.pop_back();
}

const std::string& NodeImport::op() const { return proto_.op_type(); }

void NodeImport::Fail(std::string message) {
  if (status_.ok()) status_ = InvalidInput(std::move(message));
}

const AttributeProto* NodeImport::Find(std::string_view name) {
  asked_.emplace(name);
  for (const AttributeProto& attribute : proto_.attribute()) {
    if (attribute.name() == name) return &attribute;
  }
  return nullptr;
}

namespace {

std::string_view KindOf(const AttributeProto& attribute) {
  switch (attribute.type()) {
    case AttributeProto::INT: return "an integer";
    case AttributeProto::FLOAT: return "a float";
    case AttributeProto::STRING: return "a string";
    case AttributeProto::INTS: return "a list of integers";
    case AttributeProto::FLOATS: return "a list of floats";
    case AttributeProto::TENSOR: return "a tensor";
    default: return "of another type";
  }
}

}  // namespace

const AttributeProto* NodeImport::FindTyped(std::string_view name, int type,
                                            std::string_view kind) {
  const AttributeProto* attribute = Find(name);
  if (attribute == nullptr || attribute->type() == type) return attribute;
  Fail(fmt::format("attribute {} is {}, wants {}", name, KindOf(*attribute), kind));
  return nullptr;
}

bool NodeImport::HasAttribute(std::string_view name) { return Find(name) != nullptr; }

int64_t NodeImport::Int(std::string_view name, int64_t otherwise) {
  const AttributeProto* attribute = FindTyped(name, AttributeProto::INT, "an integer");
  return attribute == nullptr ? otherwise : attribute->i();
}

int64_t NodeImport::RequiredInt(std::string_view name) {
  if (!HasAttribute(name)) Fail(fmt::format("attribute {} is missing", name));
  return Int(name, 0);
}

double NodeImport::Float(std::string_view name, double otherwise) {
  const AttributeProto* attribute = FindTyped(name, AttributeProto::FLOAT, "a float");
  return attribute == nullptr ? otherwise : MeantNumber(attribute->f());
}

std::string NodeImport::String(std::string_view name, std::string_view otherwise) {
  const AttributeProto* attribute = FindTyped(name, AttributeProto::STRING, "a string");
  return attribute == nullptr ? std::string(otherwise) : attribute->s();
}

std::vector<int64_t> NodeImport::Ints(std::string_view name, std::vector<int64_t> otherwise) {
  const AttributeProto* attribute = FindTyped(name, AttributeProto::INTS, "a list of integers");
  if (attribute == nullptr) return otherwise;
  return {attribute->ints().begin(), attribute->ints().end()};
}

std::vector<double> NodeImport::Floats(std::string_view name) {
  const AttributeProto* attribute = FindTyped(name, AttributeProto::FLOATS, "a list of floats");
  if (attribute == nullptr) return {};
  std::vector<double> meant;
  std::ranges::transform(attribute->floats(), std::back_inserter(meant), MeantNumber);
  return meant;
}

onnx::TensorProto* NodeImport::TensorAttribute(std::string_view name) {
  if (FindTyped(name, AttributeProto::TENSOR, "a tensor") == nullptr) return nullptr;
  for (AttributeProto& attribute : *proto_.mutable_attribute()) {
    if (attribute.name() == name) return attribute.mutable_t();
  }
  return nullptr;
}

Status NodeImport::CheckAttributes() {
  for (int i = 0; status_.ok() && i < proto_.attribute_size(); ++i) {
    const AttributeProto& attribute = proto_.attribute(i);
    const std::string key = Printable(attribute.name());
    if (!asked_.contains(attribute.name())) {
      Fail(fmt::format("attribute {} is not known to opset {}", key, opset()));
    } else if (Find(attribute.name()) != &attribute) {
      Fail(fmt::format("attribute {} is there twice", key));
    } else if (!attribute.ref_attr_name().empty()) {
      Fail(fmt::format("attribute {} refers to a function's attribute", key));
    }
  }
  return status_;
}

bool NodeImport::HasInput(int i) const {
  return i >= 0 && i < input_count() && inputs_[static_cast<size_t>(i)].valid();
}

ValueId NodeImport::Input(int i) const {
  return HasInput(i) ? inputs_[static_cast<size_t>(i)] : ValueId{};
}

const std::string& NodeImport::InputName(int i) const { return proto_.input(i); }

Status NodeImport::RequireInputs(int count) const {
  for (int i = 0; i < count; ++i) {
    if (!HasInput(i)) return InvalidInput(fmt::format("lacks input {}", i));
  }
  return {};
}

// The contents of a value as far as the options say what model inputs will hold, or null.
const Tensor* NodeImport::KnownContents(ValueId id, int depth) const {
  constexpr int kDeepest = 64;
  const Graph& graph = state_.graph;
  const Value& value = graph.value(id);
  if (IsPersistent(value.role)) return graph.tensors().Find(value.tensor);
  const WeightMap* given = state_.options.input_contents;
  if (given == nullptr || depth > kDeepest) return nullptr;
  if (value.role == Role::kInput) {
    const auto at = given->find(value.name);
    const bool fits = at != given->end() && at->second.shape() == value.shape;
    return fits ? &at->second : nullptr;
  }
  if (const auto at = state_.known.find(id.index); at != state_.known.end()) return &at->second;
  const OpView view(graph, value.producer);
  const OpDef* def = FindOp(view.op());
  if (def->fold == nullptr || view.output_count() != 1) return nullptr;
  if (value.shape.ByteCount(value.dtype) > state_.options.max_folded_bytes) return nullptr;
  std::vector<const Tensor*> contents;
  for (const ValueId input : graph.node(value.producer).inputs) {
    contents.push_back(input.valid() ? KnownContents(input, depth + 1) : nullptr);
    if (input.valid() && contents.back() == nullptr) return nullptr;
  }
  Result<std::vector<Tensor>> folded = def->fold(view, contents);
  if (!folded.ok()) return nullptr;
  return &state_.known.emplace(id.index, std::move(folded->front())).first->second;
}

Result<const Tensor*> NodeImport::StaticInput(int i, std::string_view what) const {
  const Value& value = state_.graph.value(Input(i));
  const Tensor* tensor = KnownContents(Input(i), 0);
  if (tensor != nullptr) return tensor;
  return InvalidInput(
      fmt::format("{} ('{}') must be known at compile time, but depends on a model "
                  "input's contents",
                  what, Printable(value.name)));
}

Result<std::vector<int64_t>> NodeImport::StaticInts(int i, std::string_view what) const {
  WSI_ASSIGN_OR_RETURN(const Tensor* tensor, StaticInput(i, what));
  if (IsFloat(tensor->dtype()) || tensor->shape().rank() > 1) {
    return InvalidInput(fmt::format("{} must be a list of integers, is {} {}", what,
                                    DTypeName(tensor->dtype()), tensor->shape().ToString()));
  }
  return tensor->ToInts();
}

Result<double> NodeImport::StaticFloat(int i, std::string_view what) const {
  WSI_ASSIGN_OR_RETURN(const Tensor* tensor, StaticInput(i, what));
  if (tensor->shape().ElementCount() != 1) {
    return InvalidInput(
        fmt::format("{} must be one number, is {}", what, tensor->shape().ToString()));
  }
  return tensor->ToDoubles().front();
}

int NodeImport::output_count() const { return proto_.output_size(); }

std::string NodeImport::OutputName(int i) const {
  return i < output_count() ? proto_.output(i) : "";
}

bool NodeImport::WantsOutput(int i) const {
  const std::string name = OutputName(i);
  return !name.empty() && state_.read_names.contains(name);
}

// Evaluates the node if all that it reads is constant and the result not too large.
Status NodeImport::Fold(NodeId id) {
  const OpView view(state_.graph, id);
  const OpDef* def = FindOp(view.op());
  if (def->fold == nullptr) return {};
  const bool only_types = view.op() == "Shape" || view.op() == "Size";
  std::vector<const Tensor*> contents;
  for (int i = 0; i < view.input_count(); ++i) {
    contents.push_back(view.InputConstant(i));
    if (contents.back() == nullptr && view.HasInput(i) && !only_types) return {};
  }
  const std::vector<ValueId> outputs = state_.graph.node(id).outputs;
  Bytes bytes = 0;
  for (const ValueId output : outputs) {
    if (!output.valid()) return {};
    const Value& value = state_.graph.value(output);
    WSI_ASSIGN_OR_RETURN(bytes, CheckedAdd(bytes, value.shape.ByteCount(value.dtype)));
  }
  if (bytes > state_.options.max_folded_bytes ||
      bytes > 4 * state_.options.max_folded_bytes - state_.folded_bytes) {
    return {};
  }
  WSI_ASSIGN_OR_RETURN(std::vector<Tensor> folded, def->fold(view, contents));
  state_.folded_bytes += bytes;
  WSI_CHECK(folded.size() == outputs.size());
  for (size_t i = 0; i < outputs.size(); ++i) {
    Value& value = state_.graph.value(outputs[i]);
    std::string key = value.name;
    while (state_.graph.tensors().Find(key) != nullptr) key += ".folded";
    value.role = Role::kConstant;
    value.producer = {};
    value.tensor = key;
    state_.graph.tensors().Add(std::move(key), std::move(folded[i]));
  }
  state_.MarkDead(id);
  return {};
}

Result<std::vector<ValueId>> NodeImport::Add(std::string_view op, std::vector<ValueId> inputs,
                                             Attributes attributes,
                                             std::span<const std::string> names) {
  Node node;
  node.name = name_;
  node.op = op;
  node.attributes = std::move(attributes);
  node.inputs = std::move(inputs);
  while (!node.inputs.empty() && !node.inputs.back().valid()) node.inputs.pop_back();
  const NodeId id = state_.graph.AddNode(std::move(node), names);
  Status status = InferTypes(state_.graph, id);
  if (status.ok()) status = Fold(id);
  if (!status.ok()) {
    state_.MarkDead(id);
    return status;
  }
  return state_.graph.node(id).outputs;
}

Result<ValueId> NodeImport::Emit(std::string_view op, std::vector<ValueId> inputs,
                                 Attributes attributes) {
  const std::string name = fmt::format("{}/{}", OutputName(0), op);
  WSI_ASSIGN_OR_RETURN(const std::vector<ValueId> outputs,
                       Add(op, std::move(inputs), std::move(attributes), {&name, 1}));
  return outputs.front();
}

Result<std::vector<ValueId>> NodeImport::EmitMany(std::string_view op, std::vector<ValueId> inputs,
                                                  Attributes attributes, int outputs) {
  std::vector<std::string> names;
  names.reserve(static_cast<size_t>(outputs));
  for (int i = 0; i < outputs; ++i) names.push_back(fmt::format("{}/{}.{}", OutputName(0), op, i));
  return Add(op, std::move(inputs), std::move(attributes), names);
}

Result<Tensor> NodeImport::NewConstant(DType dtype, const Shape& shape) const {
  const Bytes bytes = shape.ByteCount(dtype);
  if (bytes > state_.options.max_folded_bytes) {
    return InvalidInput(fmt::format("needs a constant {} of {}; the limit is {}", shape.ToString(),
                                    FormatBytes(bytes),
                                    FormatBytes(state_.options.max_folded_bytes)));
  }
  return Tensor::Make(dtype, shape);
}

Result<ValueId> NodeImport::NumberLike(ValueId value, double number) {
  const double numbers[] = {number};
  WSI_ASSIGN_OR_RETURN(Tensor tensor,
                       Tensor::Of<double>(Shape(), numbers).Cast(state_.graph.value(value).dtype));
  return state_.graph.AddConstant(fmt::format("{}/number", OutputName(0)), std::move(tensor));
}

Result<ValueId> NodeImport::EmitStacked(std::vector<ValueId> values) {
  for (ValueId& value : values) {
    std::vector<int64_t> sizes(ShapeOf(value).begin(), ShapeOf(value).end());
    sizes.insert(sizes.begin(), 1);
    WSI_ASSIGN_OR_RETURN(value, Emit("Reshape", {value}, {{"shape", std::move(sizes)}}));
  }
  return Emit("Concat", std::move(values), {{"axis", int64_t{0}}});
}

Result<std::vector<ValueId>> NodeImport::InputSequence(int i) const {
  if (i < proto_.input_size()) {
    const auto at = state_.sequences.find(proto_.input(i));
    if (at != state_.sequences.end()) return at->second;
  }
  return InvalidInput(fmt::format("input {} is no sequence", i));
}

void NodeImport::SetSequence(std::vector<ValueId> values) {
  state_.sequences[OutputName(0)] = std::move(values);
}

Status NodeImport::Give(std::string_view op, std::vector<ValueId> inputs, Attributes attributes) {
  return GiveMany(op, std::move(inputs), std::move(attributes), 1);
}

Status NodeImport::GiveAt(int i, std::string_view op, std::vector<ValueId> inputs,
                          Attributes attributes) {
  const std::string name = OutputName(i);
  WSI_ASSIGN_OR_RETURN(const std::vector<ValueId> outputs,
                       Add(op, std::move(inputs), std::move(attributes), {&name, 1}));
  SetOutput(i, outputs.front());
  return {};
}

Status NodeImport::GiveMany(std::string_view op, std::vector<ValueId> inputs, Attributes attributes,
                            int outputs) {
  std::vector<std::string> names;
  names.reserve(static_cast<size_t>(outputs));
  for (int i = 0; i < outputs; ++i) names.push_back(WantsOutput(i) ? OutputName(i) : "");
  while (names.size() > 1 && names.back().empty()) names.pop_back();
  if (names.front().empty()) names.front() = name_ + "/unread";
  WSI_ASSIGN_OR_RETURN(const std::vector<ValueId> made,
                       Add(op, std::move(inputs), std::move(attributes), names));
  for (size_t i = 0; i < made.size(); ++i) SetOutput(static_cast<int>(i), made[i]);
  return {};
}

Status NodeImport::GiveConstant(Tensor tensor) {
  const DType dtype = state_.GraphType(tensor.dtype());
  if (tensor.dtype() == DType::kF32 && dtype == DType::kF64 && tensor.shape().ElementCount() == 1) {
    const std::vector<double> number = {MeantNumber(tensor.data<float>()[0])};
    tensor = Tensor::Of<double>(tensor.shape(), number);
  } else if (dtype != tensor.dtype()) {
    WSI_ASSIGN_OR_RETURN(tensor, tensor.Cast(dtype));
  }
  SetOutput(0, state_.graph.AddConstant(OutputName(0), std::move(tensor)));
  return {};
}

void NodeImport::SetOutput(int i, ValueId value) {
  if (i >= output_count()) return;
  results_[static_cast<size_t>(i)] = value;
}

}  // namespace wsi
