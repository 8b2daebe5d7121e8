// Which part of a graph the loss's gradient flows through.
#pragma once

#include <vector>

#include "compiler/ir/graph.h"

namespace wsi {

// By value index. A value is on a path if it is floating-point, depends on a trainable
// parameter (or is one) and the loss depends on it.
struct GradientPaths {
  std::vector<bool> on_path;
  std::vector<NodeId> nodes;  // That make a value on a path from one on a path, in order.

  bool Contains(ValueId id) const { return id.valid() && on_path[static_cast<size_t>(id.index)]; }
};
// REQUIRES: Graph::loss.
GradientPaths ComputeGradientPaths(const Graph& graph);

}  // namespace wsi
