// The rewrites of fuse around batch normalization. Each returns whether it changed
// the graph; nodes that nobody reads any more are left in the order.
#pragma once

#include "compiler/ir/graph.h"
#include "runtime/base/status.h"

namespace wsi {

// BatchNormTrain becomes the statistics and their application.
Result<bool> SplitBatchNormTrain(Graph& graph);

// Relu, Add and Relu behind Add become part of the BatchNormApply before them, which
// moves to their place.
Result<bool> FuseIntoBatchNormApply(Graph& graph);

// ReluGrad becomes part of the batch normalization gradients that read it.
Result<bool> FuseReluGrads(Graph& graph);

// Batch normalization gradients behind a fused ReLU without residual make its mask out from x,
// which they read anyway, and leave y alone. Those that store dz read the two summands
// of a gradient that nobody else reads. Requires: no dead nodes.
Result<bool> ReadLessInGrads(Graph& graph);

}  // namespace wsi
