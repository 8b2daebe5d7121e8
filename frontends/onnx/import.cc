#include "frontends/onnx/import.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <new>
#include <regex>

#include "compiler/ops/op_def.h"
#include "frontends/onnx/canonical.h"
#include "frontends/onnx/import_state.h"
#include "frontends/onnx/model_file.h"
#include "frontends/onnx/node_import.h"
#include "frontends/onnx/onnx_proto.h"
#include "frontends/onnx/printable.h"

namespace wsi {
namespace {

constexpr size_t kMostListed = 50;  // Problems in one message.
constexpr size_t kMostNames = 200;  // Nodes of one unsupported operator in it.

bool IsOnnxDomain(std::string_view domain) { return domain.empty() || domain == "ai.onnx"; }

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

Status CheckOptions(const ImportOptions& options) {
  for (const int64_t size : options.input_size) {
    if (size <= 0) return UsageError(fmt::format("input size {} is not positive", size));
  }
  if (options.batch && *options.batch <= 0) {
    return UsageError(fmt::format("batch {} is not positive", *options.batch));
  }
  try {
    const std::regex freeze(options.freeze);
  } catch (const std::regex_error& error) {
    return UsageError(
        fmt::format("freeze '{}' is no regular expression: {}", options.freeze, error.what()));
  }
  return {};
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

class GraphImporter {
 public:
  GraphImporter(onnx::ModelProto& model, ImportState& state) : model_(model), state_(state) {}

  void Run() {
    if (!model_.has_graph()) {
      state_.Report("model", "", "holds no graph");
      return;
    }
    onnx::GraphProto& graph = *model_.mutable_graph();
    state_.graph.name = Printable(graph.name());
    const bool known_opset = ReadVersions(model_, state_);
    const NameUses uses = CollectUses(graph, state_);
    ImportInitializers(graph, uses, state_);
    ImportInputs(graph, state_);
    for (int i = 0; i < graph.node_size(); ++i) ImportNode(*graph.mutable_node(i), i, known_opset);
    ImportOutputs(graph);
  }

 private:
  void ImportNode(onnx::NodeProto& proto, int index, bool known_opset) {
    const std::string name = NodeName(proto, index);
    const bool ours = IsOnnxDomain(proto.domain());
    const Canonicalizer* canonicalizer = ours ? FindCanonicalizer(proto.op_type()) : nullptr;
    if (canonicalizer == nullptr) {
      state_.Report(name, QualifiedOp(proto), "unsupported operator",
                    ours ? "" : "inline model-local functions before, with onnx.inliner");
      return Define(proto, name, {});
    }
    if (!known_opset) return Define(proto, name, {});
    bool complete = true;
    std::vector<ValueId> inputs;
    for (const std::string& input : proto.input()) {
      inputs.push_back(Read(input, name, proto, complete));
    }
    if (!complete) return Define(proto, name, {});
    NodeImport node(state_, proto, index, std::move(inputs));
    Status status = CheckName(proto, name);
    if (status.ok()) status = canonicalizer->import(node);
    if (status.ok()) status = node.CheckAttributes();
    if (status.ok()) status = CheckFolded(proto, node);
    if (!status.ok()) state_.Report(name, QualifiedOp(proto), Unprefixed(status, proto, node));
    Define(proto, name, status.ok() ? node.results() : std::vector<ValueId>());
  }

  // The value of an input; `complete` becomes false where it has none.
  ValueId Read(const std::string& input, const std::string& name, const onnx::NodeProto& proto,
               bool& complete) {
    if (input.empty()) return {};
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
  void Define(const onnx::NodeProto& proto, const std::string& name,
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
      if (!read || state_.values[output].valid()) continue;
      state_.Report(name, QualifiedOp(proto),
                    fmt::format("its output {} ('{}') is not supported", i, Printable(output)));
    }
  }

  Status CheckName(const onnx::NodeProto& proto, const std::string& name) {
    bool good = IsAcceptableName(name);
    for (const std::string& output : proto.output()) good = good && IsAcceptableName(output);
    return good ? Status()
                : InvalidInput(
                      "its name or that of an output holds control characters "
                      "or is longer than 1024 bytes");
  }

  // Operators that exist only for folding must have been folded.
  Status CheckFolded(const onnx::NodeProto& proto, const NodeImport& node) {
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

  // InferTypes says which node it is about; so does the problem.
  static std::string Unprefixed(const Status& status, const onnx::NodeProto& proto,
                                const NodeImport& node) {
    const std::string prefix = fmt::format("{} '{}': ", proto.op_type(), node.name());
    const std::string& message = status.message();
    return message.starts_with(prefix) ? message.substr(prefix.size()) : message;
  }

  void ImportOutputs(const onnx::GraphProto& graph) {
    if (graph.output_size() == 0) state_.Report("graph", "", "has no outputs");
    std::vector<ValueId> seen;
    for (const onnx::ValueInfoProto& output : graph.output()) {
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
  ValueId OwnOutput(const std::string& name, ValueId value, std::vector<ValueId>& seen) {
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

  onnx::ModelProto& model_;
  ImportState& state_;
};

// Reads and imports; problems stay in the state.
Status Import(const std::string& path, ImportState& state) {
  WSI_RETURN_IF_ERROR(CheckOptions(state.options));
  WSI_ASSIGN_OR_RETURN(const ModelPtr model, ReadModelFile(path));
  try {
    GraphImporter(*model, state).Run();
  } catch (const std::bad_alloc&) {
    return ResourceError(fmt::format("{}: no memory for its weights", Printable(path)));
  }
  return {};
}

// All nodes of one unsupported operator become one entry: "Gelu 'a', 'b': ...".
std::vector<Problem> MergeUnsupported(const std::vector<Problem>& problems) {
  std::vector<Problem> merged;
  std::map<std::string, std::vector<std::string>> nodes;
  for (const Problem& problem : problems) {
    if (problem.message != "unsupported operator") {
      merged.push_back(problem);
      continue;
    }
    std::vector<std::string>& names = nodes[problem.op];
    if (names.empty()) merged.push_back(problem);
    names.push_back(problem.node);
  }
  for (Problem& problem : merged) {
    if (problem.message != "unsupported operator") continue;
    const std::vector<std::string>& names = nodes[problem.op];
    problem.node.clear();
    for (size_t i = 0; i < std::min(names.size(), kMostNames); ++i) {
      problem.node += (i == 0 ? "" : "', '") + names[i];
    }
    if (names.size() > kMostNames) {
      problem.node +=
          fmt::format("' and {} more like '{}", names.size() - kMostNames, names.back());
    }
  }
  return merged;
}

std::string JoinProblems(const std::vector<Problem>& problems) {
  const std::vector<Problem> merged = MergeUnsupported(problems);
  std::string text =
      fmt::format("{} problem{}: ", problems.size(), problems.size() == 1 ? "" : "s");
  for (size_t i = 0; i < merged.size() && i < kMostListed; ++i) {
    text += (i == 0 ? "" : "; ") + merged[i].ToString();
  }
  if (merged.size() > kMostListed) {
    text += fmt::format("; and {} more (wsic check lists all)", merged.size() - kMostListed);
  }
  return text;
}

}  // namespace

std::string Problem::ToString() const {
  std::string text = op.empty() ? node : fmt::format("{} '{}'", op, node);
  text += ": " + message;
  if (!hint.empty()) text += " (" + hint + ")";
  return text;
}

Result<Graph> ImportOnnx(const std::string& path, const ImportOptions& options,
                         TensorStore* tensors) {
  ImportState state(options, tensors, FolderOf(path));
  WSI_RETURN_IF_ERROR(Import(path, state));
  if (!state.problems.empty()) {
    return InvalidInput(Printable(path) + ": " + JoinProblems(state.problems));
  }
  std::vector<NodeId> live;
  state.dead.resize(static_cast<size_t>(state.graph.node_count()));
  for (const NodeId id : state.graph.order()) {
    if (!state.dead[static_cast<size_t>(id.index)]) live.push_back(id);
  }
  state.graph.SetOrder(std::move(live));
  state.graph.Compact();
  return std::move(state.graph);
}

Result<std::vector<Problem>> CheckOnnx(const std::string& path, const ImportOptions& options) {
  TensorStore tensors;
  ImportState state(options, &tensors, FolderOf(path));
  WSI_RETURN_IF_ERROR(Import(path, state));
  return std::move(state.problems);
}

}  // namespace wsi
