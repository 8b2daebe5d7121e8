// Structure: If, Loop and model-local functions, written out.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "frontends/onnx/graph_importer.h"
#include "frontends/onnx/newer_fields.h"
#include "frontends/onnx/node_import.h"
#include "frontends/onnx/onnx_proto.h"
#include "frontends/onnx/printable.h"
#include "frontends/onnx/tensor_proto.h"

namespace wsi {
namespace {

constexpr int kDeepest = 32;
constexpr int64_t kMostNodes = 200'000;  // Of all bodies together, written out.

const onnx::AttributeProto* FindAttribute(const onnx::NodeProto& node, std::string_view name) {
  for (const onnx::AttributeProto& attribute : node.attribute()) {
    if (attribute.name() == name) return &attribute;
  }
  return nullptr;
}

Result<const onnx::GraphProto*> BodyOf(const onnx::NodeProto& node, std::string_view name) {
  const onnx::AttributeProto* attribute = FindAttribute(node, name);
  if (attribute == nullptr || !attribute->has_g()) {
    return InvalidInput(fmt::format("attribute {} is no graph", name));
  }
  return &attribute->g();
}

// The value's name outside, where the body does not define it itself.
template <typename Names>
const std::string& Outside(const Names& names, const std::string& name) {
  const auto at = names.find(name);
  return at == names.end() ? name : at->second;
}

// Renames what the nodes of a nested graph read from around it.
template <typename Names>
void RenameCaptures(onnx::GraphProto& graph, const Names& names) {
  for (onnx::NodeProto& node : *graph.mutable_node()) {
    for (std::string& input : *node.mutable_input()) input = Outside(names, input);
    for (onnx::AttributeProto& attribute : *node.mutable_attribute()) {
      if (attribute.has_g()) RenameCaptures(*attribute.mutable_g(), names);
    }
  }
  for (onnx::ValueInfoProto& output : *graph.mutable_output()) {
    output.set_name(Outside(names, output.name()));
  }
}

// Attributes that stand for those of the call get its values; one that the call does not
// state is left out.
void FillReferences(const onnx::NodeProto& call, onnx::NodeProto& node) {
  google::protobuf::RepeatedPtrField<onnx::AttributeProto> filled;
  for (const onnx::AttributeProto& attribute : node.attribute()) {
    const onnx::AttributeProto* source = &attribute;
    if (!attribute.ref_attr_name().empty()) {
      source = FindAttribute(call, attribute.ref_attr_name());
    }
    if (source == nullptr) continue;
    *filled.Add() = *source;
    filled.rbegin()->set_name(attribute.name());
  }
  node.mutable_attribute()->Swap(&filled);
}

// What the function states for attributes that the call does not.
Status AddDefaults(const onnx::FunctionProto& function, onnx::NodeProto& call) {
  WSI_ASSIGN_OR_RETURN(const std::vector<onnx::AttributeProto> defaults,
                       DefaultAttributes(function));
  for (const onnx::AttributeProto& attribute : defaults) {
    if (FindAttribute(call, attribute.name()) == nullptr) *call.add_attribute() = attribute;
  }
  return {};
}

}  // namespace

const onnx::FunctionProto* GraphImporter::FindFunction(const onnx::NodeProto& proto) const {
  for (const onnx::FunctionProto& function : model_.functions()) {
    if (function.name() == proto.op_type() && function.domain() == proto.domain() &&
        OverloadOf(function) == OverloadOf(proto)) {
      return &function;
    }
  }
  return nullptr;
}

Status GraphImporter::Alias(const std::string& alias, const std::string& name) {
  if (alias.empty()) return {};
  if (const auto at = state_.sequences.find(name); at != state_.sequences.end()) {
    const std::vector<ValueId> values = at->second;
    state_.sequences[alias] = values;
    return Bind(alias, {});
  }
  const auto at = state_.values.find(name);
  if (at == state_.values.end()) {
    return InvalidInput(fmt::format("its body does not give '{}'", Printable(name)));
  }
  return Bind(alias, at->second);
}

Status GraphImporter::Bind(const std::string& name, ValueId value) {
  if (state_.values.emplace(name, value).second) return {};
  return InvalidInput(fmt::format("'{}' is the name of another value already", Printable(name)));
}

Status GraphImporter::ImportBodyNode(const onnx::NodeProto& node, const std::string& prefix,
                                     Names& names) {
  if (++body_nodes_ > kMostNodes) {
    return InvalidInput(fmt::format("written out, its bodies have more than {} nodes", kMostNodes));
  }
  onnx::NodeProto copy = node;
  copy.set_name(prefix + (node.name().empty() ? node.op_type() : node.name()));
  for (std::string& input : *copy.mutable_input()) {
    input = Outside(names, input);
    state_.read_names.insert(input);
  }
  for (onnx::AttributeProto& attribute : *copy.mutable_attribute()) {
    if (attribute.has_g()) RenameCaptures(*attribute.mutable_g(), names);
  }
  for (std::string& output : *copy.mutable_output()) {
    if (output.empty()) continue;
    const std::string inner = output;
    output = prefix + inner;
    names[inner] = output;
  }
  ImportNode(copy, 0);
  return {};
}

Status GraphImporter::ImportBody(const onnx::GraphProto& body, const std::string& prefix,
                                 Names& names) {
  if (depth_ >= kDeepest) {
    return InvalidInput(fmt::format("its body is nested more than {} deep", kDeepest));
  }
  for (const onnx::TensorProto& initializer : body.initializer()) {
    onnx::TensorProto copy = initializer;
    WSI_ASSIGN_OR_RETURN(Tensor tensor, TakeTensor(copy, state_.external));
    WSI_ASSIGN_OR_RETURN(tensor, tensor.Cast(state_.GraphType(tensor.dtype())));
    const std::string name = prefix + initializer.name();
    names[initializer.name()] = name;
    WSI_RETURN_IF_ERROR(Bind(name, state_.graph.AddConstant(name, std::move(tensor))));
  }
  for (const onnx::NodeProto& node : body.node()) {
    for (const std::string& input : node.input()) state_.read_names.insert(prefix + input);
  }
  for (const onnx::ValueInfoProto& output : body.output()) {
    state_.read_names.insert(prefix + output.name());
  }
  ++depth_;
  Status status;
  for (const onnx::NodeProto& node : body.node()) {
    if (status.ok()) status = ImportBodyNode(node, prefix, names);
  }
  --depth_;
  return status;
}

Status GraphImporter::ImportIf(onnx::NodeProto& proto, int index) {
  std::vector<ValueId> inputs;
  if (!ReadAll(proto, proto.name(), inputs)) {
    Define(proto, proto.name(), {});
    return {};
  }
  NodeImport node(state_, proto, index, std::move(inputs));
  WSI_RETURN_IF_ERROR(node.RequireInputs(1));
  WSI_ASSIGN_OR_RETURN(const double condition, node.StaticFloat(0, "cond"));
  const std::string_view taken = condition != 0 ? "then_branch" : "else_branch";
  WSI_ASSIGN_OR_RETURN(const onnx::GraphProto* body, BodyOf(proto, taken));
  if (body->output_size() != proto.output_size()) {
    return InvalidInput(fmt::format("{} gives {} values, the node {}", taken, body->output_size(),
                                    proto.output_size()));
  }
  Names names;
  const std::string prefix = node.name() + "/";
  WSI_RETURN_IF_ERROR(ImportBody(*body, prefix, names));
  for (int i = 0; i < proto.output_size(); ++i) {
    WSI_RETURN_IF_ERROR(Alias(proto.output(i), Outside(names, body->output(i).name())));
  }
  return {};
}

// The body as often as it runs. It takes iteration, condition, carried... and gives
// condition, carried..., scanned...
Result<bool> GraphImporter::ImportIteration(const onnx::GraphProto& body, const std::string& prefix,
                                            int64_t iteration, Loop& loop) {
  Names names;
  const int64_t number[] = {iteration};
  const uint8_t yes[] = {1};
  WSI_ASSIGN_OR_RETURN(Tensor truth, Tensor::Of<uint8_t>(Shape(), yes).Cast(DType::kBool));
  const std::string given[] = {prefix + "iteration", prefix + "condition"};
  WSI_RETURN_IF_ERROR(
      Bind(given[0], state_.graph.AddConstant(given[0], Tensor::Of<int64_t>(Shape(), number))));
  WSI_RETURN_IF_ERROR(Bind(given[1], state_.graph.AddConstant(given[1], std::move(truth))));
  names[body.input(0).name()] = given[0];
  names[body.input(1).name()] = given[1];
  const int carried = static_cast<int>(loop.carried.size());
  for (int i = 0; i < carried; ++i) {
    names[body.input(i + 2).name()] = loop.carried[static_cast<size_t>(i)];
  }
  WSI_RETURN_IF_ERROR(ImportBody(body, prefix, names));
  const auto value_of = [&](int output) {
    const auto at = state_.values.find(Outside(names, body.output(output).name()));
    return at == state_.values.end() ? ValueId{} : at->second;
  };
  for (int i = 0; i < carried; ++i) {
    loop.carried[static_cast<size_t>(i)] = Outside(names, body.output(i + 1).name());
  }
  for (size_t i = 0; i < loop.scans.size(); ++i) {
    loop.scans[i].push_back(value_of(1 + carried + static_cast<int>(i)));
    if (!loop.scans[i].back().valid()) return InvalidInput("its body does not give what it scans");
  }
  const ValueId next = value_of(0);
  const Tensor* known = next.valid() ? state_.graph.ConstantTensor(next) : nullptr;
  if (known == nullptr || known->shape().ElementCount() != 1) {
    return InvalidInput("its condition depends on data, so the trip count cannot be known");
  }
  return known->ToInts().front() != 0;
}

Status GraphImporter::ImportLoop(onnx::NodeProto& proto, int index) {
  constexpr int64_t kMostIterations = 10'000;
  std::vector<ValueId> inputs;
  if (!ReadAll(proto, proto.name(), inputs)) {
    Define(proto, proto.name(), {});
    return {};
  }
  NodeImport node(state_, proto, index, std::move(inputs));
  WSI_ASSIGN_OR_RETURN(const onnx::GraphProto* body, BodyOf(proto, "body"));
  const int carried = std::max(proto.input_size() - 2, 0);
  const int scanned = body->output_size() - 1 - carried;
  if (body->input_size() != carried + 2 || scanned < 0 || proto.output_size() > carried + scanned) {
    return InvalidInput(fmt::format("its body takes {} and gives {} values, the node {} and {}",
                                    body->input_size(), body->output_size(), proto.input_size(),
                                    proto.output_size()));
  }
  double most = static_cast<double>(kMostIterations) + 1;
  if (node.HasInput(0)) {
    WSI_ASSIGN_OR_RETURN(most, node.StaticFloat(0, "the trip count"));
  }
  bool goes_on = true;
  if (node.HasInput(1)) {
    WSI_ASSIGN_OR_RETURN(const double condition, node.StaticFloat(1, "cond"));
    goes_on = condition != 0;
  }
  Loop loop;
  for (int i = 0; i < carried; ++i) loop.carried.push_back(proto.input(i + 2));
  loop.scans.resize(static_cast<size_t>(scanned));
  for (int64_t i = 0; goes_on && static_cast<double>(i) < most; ++i) {
    if (i >= kMostIterations) {
      return InvalidInput(fmt::format("runs more than {} times", kMostIterations));
    }
    const std::string prefix = fmt::format("{}/{}/", node.name(), i);
    WSI_ASSIGN_OR_RETURN(goes_on, ImportIteration(*body, prefix, i, loop));
  }
  return DefineLoop(proto, loop, node);
}

Status GraphImporter::DefineLoop(const onnx::NodeProto& proto, const Loop& loop, NodeImport& node) {
  for (int i = 0; i < proto.output_size(); ++i) {
    const auto at = static_cast<size_t>(i);
    if (at < loop.carried.size()) {
      WSI_RETURN_IF_ERROR(Alias(proto.output(i), loop.carried[at]));
      continue;
    }
    if (proto.output(i).empty()) continue;
    const std::vector<ValueId>& values = loop.scans[at - loop.carried.size()];
    if (values.empty()) return InvalidInput("runs no time, so the type of its scan is not known");
    WSI_ASSIGN_OR_RETURN(const ValueId stacked, node.EmitStacked(values));
    WSI_RETURN_IF_ERROR(Bind(proto.output(i), stacked));
  }
  return {};
}

Status GraphImporter::CallFunction(const onnx::NodeProto& proto,
                                   const onnx::FunctionProto& function) {
  if (depth_ >= kDeepest) {
    return InvalidInput(fmt::format("calls functions more than {} deep", kDeepest));
  }
  if (proto.input_size() > function.input_size() || proto.output_size() > function.output_size()) {
    return InvalidInput("has more inputs or outputs than its function");
  }
  onnx::NodeProto call = proto;
  WSI_RETURN_IF_ERROR(AddDefaults(function, call));
  const int64_t outer_opset = state_.opset;
  for (const onnx::OperatorSetIdProto& set : function.opset_import()) {
    if (IsOnnxDomain(set.domain())) state_.opset = set.version();
  }
  if (state_.opset < kMinOpset || state_.opset > kMaxOpset) {
    const int64_t opset = std::exchange(state_.opset, outer_opset);
    return InvalidInput(
        fmt::format("its function's opset is {}; {} to {} are read", opset, kMinOpset, kMaxOpset));
  }
  Names names;
  const std::string prefix = (proto.name().empty() ? proto.output(0) : proto.name()) + "/";
  for (int i = 0; i < function.input_size(); ++i) {
    names[function.input(i)] = i < proto.input_size() ? proto.input(i) : "";
  }
  for (const onnx::NodeProto& node : function.node()) {
    for (const std::string& input : node.input()) state_.read_names.insert(prefix + input);
  }
  for (const std::string& output : function.output()) state_.read_names.insert(prefix + output);
  ++depth_;
  Status status;
  for (const onnx::NodeProto& node : function.node()) {
    onnx::NodeProto filled = node;
    FillReferences(call, filled);
    if (status.ok()) status = ImportBodyNode(filled, prefix, names);
  }
  --depth_;
  state_.opset = outer_opset;
  for (int i = 0; status.ok() && i < proto.output_size(); ++i) {
    status = Alias(proto.output(i), Outside(names, function.output(i)));
  }
  return status;
}

}  // namespace wsi
