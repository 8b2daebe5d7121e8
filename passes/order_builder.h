// OrderBuilder: a new execution order, written from front to back while a pass keeps
// old nodes, leaves some out and puts new ones between them.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "compiler/ir/graph.h"
#include "runtime/base/status.h"

namespace wsi {

// A node whose outputs Graph::AddNode will make.
Node MakeNode(std::string_view op, std::string name, std::vector<ValueId> inputs,
              Attributes attributes = {}, Phase phase = Phase::kForward);

// Adds `node` behind all others with one typed output called `output_name`.
Result<ValueId> AppendNode(Graph& graph, Node node, std::string output_name);

// Borrows the graph. Nothing but this object changes the order between construction
// and Finish.
class OrderBuilder {
 public:
  explicit OrderBuilder(Graph& graph) : graph_(graph), old_order_(graph.order()) {}

  // The order that is being replaced.
  const std::vector<NodeId>& old_order() const { return old_order_; }
  void Keep(NodeId id) { order_.push_back(id); }
  // Adds a node at the current end and types its outputs.
  Result<NodeId> Add(Node node, std::span<const std::string> output_names);
  // The same with one output, which it returns.
  Result<ValueId> Add(Node node, std::string output_name);
  void Finish() { graph_.SetOrder(std::move(order_)); }

 private:
  Graph& graph_;
  std::vector<NodeId> old_order_;
  std::vector<NodeId> order_;
};

}  // namespace wsi
