// Evaluates operators whose operands are all known.
#pragma once

#include "compiler/ir/graph.h"
#include "runtime/base/checked.h"
#include "runtime/base/status.h"

namespace wsi {

// Turns every node that OpDef::fold can evaluate into constants, as long as no result
// is larger than `limit`; a value keeps its name and stores under it. Results that the
// model gives out stay computed. Returns whether it changed the graph; the folded
// nodes are out of the order, and nothing is compacted.
Result<bool> FoldConstants(Graph& graph, Bytes limit);

}  // namespace wsi
