// What an order of nodes must keep to.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "compiler/ir/graph.h"
#include "runtime/base/checked.h"

namespace wsi {

// Nodes by their place in the graph's order; what must precede what, and which memory
// each makes and reads. Memory is counted by view class.
struct OrderConstraints {
  size_t count = 0;
  std::vector<std::vector<size_t>> successors;
  std::vector<int32_t> predecessor_count;
  std::vector<std::vector<size_t>> reads;  // By node: memories, each once.
  std::vector<std::vector<size_t>> makes;
  std::vector<Bytes> size;          // By memory; 0 where it takes no room of its own.
  std::vector<int32_t> read_count;  // By memory; -1: kept to the end.
};

// Forward nodes keep their order; whatever reads a state comes before the node that overwrites it,
// and whatever reads a gradient before the collective that does.
// REQUIRES: a graph that VerifyGraph accepts.
OrderConstraints FindOrderConstraints(const Graph& graph);

}  // namespace wsi
