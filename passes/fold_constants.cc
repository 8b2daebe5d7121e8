#include "passes/fold_constants.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "compiler/ops/op_def.h"
#include "passes/shared_tensors.h"

namespace wsi {
namespace {

bool GivesModelOutput(const Graph& graph, const Node& node) {
  return std::any_of(node.outputs.begin(), node.outputs.end(), [&](ValueId id) {
    return std::find(graph.outputs.begin(), graph.outputs.end(), id) != graph.outputs.end();
  });
}

bool WithinLimit(const Graph& graph, const Node& node, Bytes limit) {
  Bytes total = 0;
  for (const ValueId id : node.outputs) {
    if (!id.valid()) continue;
    const Bytes bytes = graph.value(id).shape.ByteCount(graph.value(id).dtype);
    if (bytes > limit - total) return false;
    total += bytes;
  }
  return true;
}

// The operands' contents, or nothing where one is unknown and matters. Shape and Size
// look at an operand's type only.
std::optional<std::vector<const Tensor*>> KnownOperands(const Graph& graph, const Node& node) {
  const bool types_only = node.op == "Shape" || node.op == "Size";
  std::vector<const Tensor*> operands;
  for (const ValueId id : node.inputs) {
    const Tensor* tensor = id.valid() ? KnownTensor(graph, id) : nullptr;
    if (id.valid() && tensor == nullptr && !types_only) return std::nullopt;
    operands.push_back(tensor);
  }
  return operands;
}

Result<bool> FoldNode(Graph& graph, NodeId id, Bytes limit) {
  const Node& node = graph.node(id);
  const OpDef* def = FindOp(node.op);
  if (def == nullptr || def->fold == nullptr || GivesModelOutput(graph, node)) return false;
  if (!WithinLimit(graph, node, limit)) return false;
  const auto operands = KnownOperands(graph, node);
  if (!operands) return false;
  Result<std::vector<Tensor>> results = def->fold(OpView(graph, id), *operands);
  if (!results.ok()) {
    return results.status().WithContext(fmt::format("{} '{}'", node.op, node.name));
  }
  WSI_CHECK(results->size() >= node.outputs.size());
  for (size_t i = 0; i < node.outputs.size(); ++i) {
    if (!node.outputs[i].valid()) continue;
    Value& value = graph.value(node.outputs[i]);
    WSI_CHECK((*results)[i].dtype() == value.dtype && (*results)[i].shape() == value.shape);
    value.tensor = StoreShared(graph.tensors(), value.name, std::move((*results)[i]));
    value.role = Role::kConstant;
    value.producer = NodeId{};
  }
  return true;
}

}  // namespace

Result<bool> FoldConstants(Graph& graph, Bytes limit) {
  bool changed = false;
  std::vector<NodeId> kept;
  for (const NodeId id : graph.order()) {
    WSI_ASSIGN_OR_RETURN(const bool folded, FoldNode(graph, id, limit));
    changed |= folded;
    if (!folded) kept.push_back(id);
  }
  if (changed) graph.SetOrder(std::move(kept));
  return changed;
}

}  // namespace wsi
