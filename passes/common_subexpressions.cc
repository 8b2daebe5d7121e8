#include "passes/common_subexpressions.h"

#include <fmt/format.h>

#include <bit>
#include <unordered_map>
#include <variant>

#include "passes/replace_value.h"

namespace wsi {
namespace {

void AppendKey(std::string& key, int64_t value) {
  fmt::format_to(std::back_inserter(key), "{},", value);
}
// By its bits, so that NaN equals itself and -0 differs from 0.
void AppendKey(std::string& key, double value) {
  fmt::format_to(std::back_inserter(key), "d{:x},", std::bit_cast<uint64_t>(value));
}
void AppendKey(std::string& key, const std::string& value) {
  fmt::format_to(std::back_inserter(key), "{}:{},", value.size(), value);
}
template <typename T>
void AppendKey(std::string& key, const std::vector<T>& values) {
  fmt::format_to(std::back_inserter(key), "{}[", values.size());
  for (const T& value : values) AppendKey(key, value);
}

// Equal exactly for nodes that compute the same.
std::string KeyOf(const Node& node) {
  std::string key = node.op;
  fmt::format_to(std::back_inserter(key), "|{}|", static_cast<int>(node.phase));
  for (const auto& [name, value] : node.attributes.entries()) {
    AppendKey(key, name);
    fmt::format_to(std::back_inserter(key), "#{}=", value.index());
    std::visit([&](const auto& typed) { AppendKey(key, typed); }, value);
  }
  key += '|';
  for (const ValueId input : node.inputs) AppendKey(key, int64_t{input.index});
  return key;
}

// Whether every output of `later` exists on `earlier` and can be replaced by it.
bool CanMerge(const Graph& graph, const Node& earlier, const Node& later) {
  for (size_t i = 0; i < later.outputs.size(); ++i) {
    if (!later.outputs[i].valid()) continue;
    if (i >= earlier.outputs.size() || !earlier.outputs[i].valid()) return false;
    if (!CanReplaceValue(graph, later.outputs[i], earlier.outputs[i])) return false;
  }
  return true;
}

}  // namespace

bool MergeCommonSubexpressions(Graph& graph) {
  std::unordered_map<std::string, NodeId> seen;  // Looked up only, never walked.
  std::vector<NodeId> kept;
  bool changed = false;
  const std::vector<NodeId> order = graph.order();
  for (const NodeId id : order) {
    const auto [at, is_new] = seen.emplace(KeyOf(graph.node(id)), id);
    if (is_new || !CanMerge(graph, graph.node(at->second), graph.node(id))) {
      kept.push_back(id);
      continue;
    }
    const std::vector<ValueId> outputs = graph.node(id).outputs;
    for (size_t i = 0; i < outputs.size(); ++i) {
      if (outputs[i].valid()) {
        ReplaceValue(graph, outputs[i], graph.node(at->second).outputs[i]);
      }
    }
    changed = true;
  }
  if (changed) graph.SetOrder(std::move(kept));
  return changed;
}

}  // namespace wsi
