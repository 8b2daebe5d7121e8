// Removes what nobody reads.
#pragma once

#include "compiler/ir/graph.h"

namespace wsi {

// Takes out nodes that contribute to no output, update, gradient or loss, and optional
// outputs that nobody reads. Returns whether it changed the graph; it does not compact.
bool RemoveDeadCode(Graph& graph);

}  // namespace wsi
