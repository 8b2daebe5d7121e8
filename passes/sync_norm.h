// Sync-norm: batch norm in training mode takes its statistics over the batches of all ranks.
//
//   forward   BatchNormTrain       -> BatchNormStats, AllReduce(mean, var), BatchNormApply
//   backward  BatchNormGradStats,  -> BatchNormGradStats, AllReduce(sums), BatchNormGradApply
//             BatchNormGradApply
//
// Every rank has as many values, so that means over ranks are those of one rank with all of
// them: m = E[m_r] and v = E[v_r + (m_r - m)^2] (Chan, Golub, LeVeque 1979), which loses no
// digits where a mean is large beside its deviation. Gradients of scale and bias stay each
// rank's own, for the optimizer takes their means. Running statistics read m and v.
//
// Requires: autodiff and optimizer have run, fuse has not.
// Ensures: no BatchNormTrain is left. kInvalidInput where there is none at first.
#pragma once

#include "compiler/ir/graph.h"
#include "compiler/pass/pass_context.h"
#include "runtime/base/status.h"

namespace wsi {

struct SyncNormOptions {};
Result<bool> SynchroniseNorm(Graph& graph, const SyncNormOptions& options, PassContext& context);

}  // namespace wsi
