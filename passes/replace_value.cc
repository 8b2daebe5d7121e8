#include "passes/replace_value.h"

#include <algorithm>

namespace wsi {
namespace {

bool IsOutput(const Graph& graph, ValueId id) {
  return std::find(graph.outputs.begin(), graph.outputs.end(), id) != graph.outputs.end();
}

}  // namespace

bool CanReplaceValue(const Graph& graph, ValueId from, ValueId to) {
  if (from == to) return false;
  if (!IsOutput(graph, from)) return true;
  return graph.value(to).role == Role::kIntermediate && !IsOutput(graph, to);
}

void ReplaceValue(Graph& graph, ValueId from, ValueId to) {
  WSI_CHECK(CanReplaceValue(graph, from, to));
  if (IsOutput(graph, from)) {
    const std::string name = graph.value(from).name;
    graph.RenameValue(from, name + ".replaced");
    graph.RenameValue(to, name);
  }
  graph.ReplaceUses(from, to);
}

}  // namespace wsi
