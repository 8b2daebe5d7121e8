// Which elementwise operators can run as one kernel.
#pragma once

#include <cstdint>
#include <vector>

#include "compiler/ir/graph.h"
#include "runtime/base/shape.h"

namespace wsi {

// What a node is in a pointwise program over its domain.
enum class PointwiseRole : uint8_t {
  kNone,
  kStep,   // one of its operators, on floats and truth values
  kAlias,  // its operand: a Cast between floats, an Expand
  kSum,    // a sum or mean over axes of the domain
};
PointwiseRole PointwiseRoleOf(const Graph& graph, NodeId id);
// The domain of a node whose role is another than kNone.
const Shape& PointwiseDomainOf(const Graph& graph, NodeId id);

// Nodes over one domain and of one phase that can run together: no path leads from one
// to another through a node that is not among them.
struct PointwiseCluster {
  std::vector<NodeId> members;  // In the graph's order; updates are never among them.
};

// All nodes that have a role, in clusters as large as they get, some of a single node.
// No two clusters wait for each other.
std::vector<PointwiseCluster> FindPointwiseClusters(const Graph& graph);

}  // namespace wsi
