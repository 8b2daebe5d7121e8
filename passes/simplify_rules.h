// The rewrites of simplify that look at one node and its operands.
#pragma once

#include "compiler/ir/graph.h"
#include "runtime/base/status.h"

namespace wsi {

// One sweep over the graph. Returns whether it changed the graph; it does not compact.
// `inference`: Dropout is the identity.
Result<bool> ApplySimplifyRules(Graph& graph, bool inference);

// The same with the rules for Reshape and Transpose alone.
Result<bool> MergeViews(Graph& graph);

}  // namespace wsi
