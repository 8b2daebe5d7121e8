#include "frontends/onnx/graph_importer.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "compiler/ops/op_def.h"
#include "frontends/onnx/canonical.h"
#include "frontends/onnx/node_import.h"
#include "frontends/onnx/onnx_proto.h"
#include "frontends/onnx/printable.h"

namespace wsi {
namespace {

std::string QualifiedOp(const onnx::NodeProto& node) {
  if (IsOnnxDomain(node.domain())) return node.op_type();
  return fmt::format("{}.{}", node.domain(), node.op_type());
}

std::string NodeName(const onnx::NodeProto& node, int index) {
  if (!node.name().empty()) return node.name();
  for (const std::string& output : node.output()) {
    if (!output.empty()) return output;
  }
  return fmt::format("node {}", index);
}

// Operators that mean the same in every opset; others changed before kMinOpset.
bool IsAgeless(const onnx::NodeProto& node) {
  static constexpr std::string_view kOps[] = {
      "Abs",           "Ceil", "Exp",      "Floor", "GlobalAveragePool",
      "GlobalMaxPool", "Log",  "MatMul",   "Neg",   "Not",
      "Reciprocal",    "Relu", "Sigmoid",  "Sqrt",  "Softplus",
      "Softsign",      "Tanh", "Transpose"};
  return IsOnnxDomain(node.domain()) && std::ranges::find(kOps, node.op_type()) != std::end(kOps);
}

// The model's version of ONNX's own operators; false after a report.
bool ReadVersions(const onnx::ModelProto& model, ImportState& state) {
  if (model.ir_version() < 3) {
    state.Report(
        "model", "",
        fmt::format("its IR version is {}; 3 is the oldest that is read", model.ir_version()),
        "convert it with onnx.version_converter");
  }
  int found = 0;
  for (const onnx::OperatorSetIdProto& set : model.opset_import()) {
    if (!IsOnnxDomain(set.domain())) continue;
    ++found;
    state.opset = set.version();
  }
  if (found == 1 && state.opset >= kMinOpset && state.opset <= kMaxOpset) return true;
  if (found == 1 && state.opset >= 1 && state.opset < kMinOpset &&
      std::ranges::all_of(model.graph().node(), IsAgeless)) {
    return true;
  }
  if (found != 1) {
    state.Report("model", "",
                 fmt::format("states {} versions of ONNX's operators, one is needed", found));
  } else {
    state.Report(
        "model", "",
        fmt::format("its opset is {}; {} to {} are read", state.opset, kMinOpset, kMaxOpset),
        "export it again with another opset, or convert it with onnx.version_converter");
  }
  return false;
}

Status CheckName(const onnx::NodeProto& proto) {
  bool good = IsAcceptableName(proto.name());
  for (const std::string& output : proto.output()) good = good && IsAcceptableName(output);
  return good ? Status()
              : InvalidInput(
                    "its name or that of an output holds control characters "
                    "or is longer than 1024 bytes");
}

// InferTypes says which node it is about; so does the problem.
std::string Unprefixed(const Status& status, const onnx::NodeProto& proto, const NodeImport& node) {
  const std::string prefix = fmt::format("{} '{}': ", proto.op_type(), node.name());
  const std::string& message = status.message();
  return message.starts_with(prefix) ? message.substr(prefix.size()) : message;
}

// Weights of a matrix product behind flattened maps fit one size of the images.
std::string SizeHint(const onnx::NodeProto& proto, const ImportState& state) {
  const bool product = proto.op_type() == "Gemm" || proto.op_type() == "MatMul";
  if (!product || state.options.input_size.empty()) return {};
  const std::string asked = fmt::to_string(fmt::join(state.options.input_size, "x"));
  if (state.replaced_size.empty()) {
    return "its weights may be made for another size than --input-size " + asked;
  }
  return fmt::format("the model is made for images of {}, not for --input-size {}",
                     state.replaced_size, asked);
}

}  // namespace

bool IsOnnxDomain(std::string_view domain) { return domain.empty() || domain == "ai.onnx"; }

void GraphImporter::Run() {
  if (!model_.has_graph()) {
    state_.Report("model", "", "holds no graph");
    return;
  }
  onnx::GraphProto& graph = *model_.mutable_graph();
  state_.graph.name = Printable(graph.name());
  known_opset_ = ReadVersions(model_, state_);
  const NameUses uses = CollectUses(graph, state_);
  ImportInitializers(graph, uses, state_);
  ImportInputs(graph, state_);
  for (int i = 0; i < graph.node_size(); ++i) ImportNode(*graph.mutable_node(i), i);
  ImportOutputs(graph);
}

void GraphImporter::ImportNode(onnx::NodeProto& proto, int index) {
  const std::string name = NodeName(proto, index);
  const bool ours = IsOnnxDomain(proto.domain());
  const onnx::FunctionProto* function = FindFunction(proto);
  Status status;
  if (function != nullptr) {
    status = CallFunction(proto, *function);
  } else if (ours && proto.op_type() == "If") {
    status = ImportIf(proto, index);
  } else if (ours && proto.op_type() == "Loop") {
    status = ImportLoop(proto, index);
  } else {
    return ImportCanonical(proto, index, name);
  }
  if (status.ok()) return;
  state_.Report(name, QualifiedOp(proto), status.message());
  Define(proto, name, {});
}

void GraphImporter::ImportCanonical(onnx::NodeProto& proto, int index, const std::string& name) {
  const bool ours = IsOnnxDomain(proto.domain());
  const Canonicalizer* canonicalizer = ours ? FindCanonicalizer(proto.op_type()) : nullptr;
  if (canonicalizer == nullptr) {
    state_.Report(name, QualifiedOp(proto), "unsupported operator");
    return Define(proto, name, {});
  }
  std::vector<ValueId> inputs;
  if (!known_opset_ || !ReadAll(proto, name, inputs)) return Define(proto, name, {});
  NodeImport node(state_, proto, index, std::move(inputs));
  Status status = CheckName(proto);
  if (status.ok()) status = canonicalizer->import(node);
  if (status.ok()) status = node.CheckAttributes();
  if (status.ok()) status = CheckFolded(proto, node);
  if (!status.ok()) {
    state_.Report(name, QualifiedOp(proto), Unprefixed(status, proto, node),
                  SizeHint(proto, state_));
  }
  Define(proto, name, status.ok() ? node.results() : std::vector<ValueId>());
}

// Reads every input; false where one is known to be bad.
bool GraphImporter::ReadAll(const onnx::NodeProto& proto, const std::string& name,
                            std::vector<ValueId>& inputs) {
  bool complete = true;
  for (const std::string& input : proto.input()) {
    inputs.push_back(Read(input, name, proto, complete));
  }
  return complete;
}

// The value of an input, invalid where it is a sequence; `complete` becomes false where it
// has none.
ValueId GraphImporter::Read(const std::string& input, const std::string& name,
                            const onnx::NodeProto& proto, bool& complete) {
  if (input.empty() || state_.sequences.contains(input)) return {};
  const auto at = state_.values.find(input);
  if (at == state_.values.end()) {
    state_.Report(name, QualifiedOp(proto),
                  fmt::format("reads '{}', which no input, initializer or earlier node gives",
                              Printable(input)));
  }
  if (at == state_.values.end() || !at->second.valid()) {
    complete = false;
    return {};
  }
  return at->second;
}

// Binds the output names to `results`; missing or invalid ones are known to be bad.
void GraphImporter::Define(const onnx::NodeProto& proto, const std::string& name,
                           const std::vector<ValueId>& results) {
  for (int i = 0; i < proto.output_size(); ++i) {
    if (proto.output(i).empty()) continue;
    const bool made = static_cast<size_t>(i) < results.size();
    const ValueId value = made ? results[static_cast<size_t>(i)] : ValueId{};
    if (!state_.values.emplace(proto.output(i), value).second) {
      state_.Report(name, QualifiedOp(proto),
                    fmt::format("its output '{}' has that name already from another node, input "
                                "or initializer",
                                Printable(proto.output(i))));
    }
  }
  const bool failed = results.empty();
  for (int i = 0; i < proto.output_size() && !failed; ++i) {
    const std::string& output = proto.output(i);
    const bool read = !output.empty() && state_.read_names.contains(output);
    if (!read || state_.values[output].valid() || state_.sequences.contains(output)) continue;
    state_.Report(name, QualifiedOp(proto),
                  fmt::format("its output {} ('{}') is not supported", i, Printable(output)));
  }
}

// Operators that exist only for folding must have been folded.
Status GraphImporter::CheckFolded(const onnx::NodeProto& proto, const NodeImport& node) {
  if (!IsFoldedOnly(proto.op_type()) || node.results().empty()) return {};
  const ValueId result = node.results().front();
  if (!result.valid()) return {};
  const Value& value = state_.graph.value(result);
  if (value.role != Role::kIntermediate) return {};
  if (!IsFoldedOnly(state_.graph.node(value.producer).op)) return {};
  return InvalidInput(
      fmt::format("is supported only where its operands are constants and its "
                  "result, {}, is below {}",
                  FormatBytes(value.shape.ByteCount(value.dtype)),
                  FormatBytes(state_.options.max_folded_bytes)));
}

void GraphImporter::ImportOutputs(const onnx::GraphProto& graph) {
  if (graph.output_size() == 0) state_.Report("graph", "", "has no outputs");
  std::vector<ValueId> seen;
  for (const onnx::ValueInfoProto& output : graph.output()) {
    if (const auto at = state_.sequences.find(output.name()); at != state_.sequences.end()) {
      for (size_t i = 0; i < at->second.size(); ++i) {
        state_.graph.outputs.push_back(
            OwnOutput(ElementName(output.name(), i), at->second[i], seen));
      }
      continue;
    }
    const auto at = state_.values.find(output.name());
    if (at == state_.values.end()) {
      state_.Report(output.name(), "output", "no node gives it");
      continue;
    }
    if (!at->second.valid()) continue;
    state_.graph.outputs.push_back(OwnOutput(output.name(), at->second, seen));
  }
}

// An output of the graph under its ONNX name: a value that has another (an input, a
// constant, another output) gets a node between.
ValueId GraphImporter::OwnOutput(const std::string& name, ValueId value,
                                 std::vector<ValueId>& seen) {
  Graph& graph = state_.graph;
  const bool taken = std::ranges::find(seen, value) != seen.end();
  if (graph.value(value).role != Role::kIntermediate || taken) {
    Node node;
    node.name = name;
    node.op = "Identity";
    node.inputs = {value};
    const NodeId id = graph.AddNode(std::move(node), {&name, 1});
    WSI_CHECK(InferTypes(graph, id).ok());
    value = graph.node(id).outputs.front();
  } else if (graph.value(value).name != name) {
    graph.RenameValue(value, name);
  }
  seen.push_back(value);
  return value;
}

}  // namespace wsi
