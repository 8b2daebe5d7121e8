#include "passes/workspace.h"

#include <vector>

#include "compiler/ops/op_def.h"

namespace wsi {
namespace {

std::vector<OperandSpec> SpecsOf(const Graph& graph, const std::vector<ValueId>& values) {
  std::vector<OperandSpec> specs;
  for (const ValueId v : values) {
    OperandSpec& spec = specs.emplace_back();
    if (!v.valid()) continue;
    spec = {.present = true, .dtype = graph.value(v).dtype, .shape = graph.value(v).shape};
  }
  return specs;
}

}  // namespace

Result<bool> SetWorkspaces(Graph& graph, const WorkspaceOptions& options, PassContext&) {
  bool changed = false;
  for (const NodeId id : graph.order()) {
    Node& node = graph.node(id);
    const std::vector<OperandSpec> inputs = SpecsOf(graph, node.inputs);
    const std::vector<OperandSpec> outputs = SpecsOf(graph, node.outputs);
    Bytes bytes = 0;
    if (FindOp(node.op)->lowers_to == LowersTo::kLaunch) {
      WSI_ASSIGN_OR_RETURN(bytes, WorkspaceOf({.op = node.op,
                                               .node = node.name,
                                               .attributes = node.attributes,
                                               .inputs = inputs,
                                               .outputs = outputs},
                                              options));
    }
    changed |= bytes != node.workspace_bytes;
    node.workspace_bytes = bytes;
  }
  return changed;
}

}  // namespace wsi
