// Computes equal things once.
#pragma once

#include "compiler/ir/graph.h"

namespace wsi {

// Nodes of the same operator, attributes, operands and phase become one, the first in
// order. Returns whether it changed the graph; it does not compact.
bool MergeCommonSubexpressions(Graph& graph);

}  // namespace wsi
