// Elementwise operators become pointwise programs, one kernel each.
#pragma once

#include "compiler/ir/graph.h"
#include "runtime/base/status.h"

namespace wsi {

// Makes one Pointwise node of every cluster (passes/pointwise_clusters.h) of two nodes
// and more. Within a program nothing is rounded to half precision.
//
// What the forward pass would only keep for programs of the backward pass is computed
// again there, where everything that it takes is read anyway or small: x * sigmoid(x)
// keeps x alone.
Result<bool> FusePointwise(Graph& graph);

}  // namespace wsi
