#include "passes/dead_code.h"

#include <algorithm>

#include "compiler/ops/op_def.h"

namespace wsi {
namespace {

// Outputs without a limit are all part of what the node is: none is optional.
bool DropUnreadOutputs(Node& node, const std::vector<bool>& live) {
  const OpDef* def = FindOp(node.op);
  if (def != nullptr && def->max_outputs < 0) return false;
  const auto required = static_cast<size_t>(def != nullptr ? def->min_outputs : 1);
  bool changed = false;
  for (size_t i = required; i < node.outputs.size(); ++i) {
    ValueId& output = node.outputs[i];
    if (!output.valid() || live[static_cast<size_t>(output.index)]) continue;
    output = ValueId{};
    changed = true;
  }
  while (changed && node.outputs.size() > required && !node.outputs.back().valid()) {
    node.outputs.pop_back();
  }
  return changed;
}

}  // namespace

bool RemoveDeadCode(Graph& graph) {
  std::vector<bool> live(static_cast<size_t>(graph.value_count()), false);
  const auto mark = [&](ValueId id) {
    if (id.valid()) live[static_cast<size_t>(id.index)] = true;
  };
  for (const ValueId output : graph.outputs) mark(output);
  mark(graph.loss);
  for (const StateUpdate& update : graph.updates) mark(update.value);
  for (const ParameterGradient& pair : graph.gradients) mark(pair.gradient);

  bool changed = false;
  std::vector<NodeId> kept;
  for (auto at = graph.order().rbegin(); at != graph.order().rend(); ++at) {
    Node& node = graph.node(*at);
    const bool is_live = std::any_of(node.outputs.begin(), node.outputs.end(), [&](ValueId id) {
      return id.valid() && live[static_cast<size_t>(id.index)];
    });
    if (!is_live) {
      changed = true;
      continue;
    }
    changed |= DropUnreadOutputs(node, live);
    for (const ValueId input : node.inputs) mark(input);
    kept.push_back(*at);
  }
  if (changed) {
    std::reverse(kept.begin(), kept.end());
    graph.SetOrder(std::move(kept));
  }
  return changed;
}

}  // namespace wsi
