#include "passes/order_builder.h"

#include "compiler/ops/op_def.h"

namespace wsi {

Node MakeNode(std::string_view op, std::string name, std::vector<ValueId> inputs,
              Attributes attributes, Phase phase) {
  Node node;
  node.name = std::move(name);
  node.op = op;
  node.attributes = std::move(attributes);
  node.inputs = std::move(inputs);
  node.phase = phase;
  return node;
}

Result<ValueId> AppendNode(Graph& graph, Node node, std::string output_name) {
  const std::string names[] = {std::move(output_name)};
  const NodeId id = graph.AddNode(std::move(node), names);
  WSI_RETURN_IF_ERROR(InferTypes(graph, id));
  return graph.node(id).outputs[0];
}

Result<NodeId> OrderBuilder::Add(Node node, std::span<const std::string> output_names) {
  const NodeId id = graph_.AddNode(std::move(node), output_names);
  WSI_RETURN_IF_ERROR(InferTypes(graph_, id));
  order_.push_back(id);
  return id;
}

Result<ValueId> OrderBuilder::Add(Node node, std::string output_name) {
  const std::string names[] = {std::move(output_name)};
  WSI_ASSIGN_OR_RETURN(const NodeId id, Add(std::move(node), names));
  return graph_.node(id).outputs[0];
}

}  // namespace wsi
