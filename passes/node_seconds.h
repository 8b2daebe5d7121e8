// How long a node takes on a device, by the cost that its OpDef states.
#pragma once

#include "compiler/ir/graph.h"
#include "runtime/plan/plan.pb.h"

namespace wsi {

// Seconds of the launch that the node becomes; 0 of views, copies and marks, which are no
// launches. REQUIRES: CheckRates(rates) passes.
double NodeSeconds(const Graph& graph, NodeId node, const plan::Rates& rates);

}  // namespace wsi
