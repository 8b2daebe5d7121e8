#include "frontends/onnx/import.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <new>
#include <regex>

#include "frontends/onnx/graph_importer.h"
#include "frontends/onnx/import_state.h"
#include "frontends/onnx/model_file.h"
#include "frontends/onnx/onnx_proto.h"
#include "frontends/onnx/printable.h"

namespace wsi {
namespace {

constexpr size_t kMostListed = 50;  // Problems in one message.
constexpr size_t kMostNames = 200;  // Nodes of one unsupported operator in it.

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

std::string ElementName(const std::string& sequence, size_t i) {
  return fmt::format("{}.{}", sequence, i);
}

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
