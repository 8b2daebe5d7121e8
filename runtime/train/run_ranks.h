// How the ranks of a run share its slides and its state.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "runtime/comm/communicator.h"
#include "runtime/executor/executor.h"
#include "runtime/train/evaluation.h"

namespace wsi {

// The rank's part of `rows`, whole batches in turn: micro-step j of rank r has batch
// j * ranks + r. So any number of ranks takes the same batches to the same global step.
//
//   rows            | batch 0 | batch 1 | batch 2 | batch 3 | ...
//   rank (2 ranks)      0         1         0         1
std::vector<int64_t> ShareOfRank(std::span<const int64_t> rows, int64_t batch, int rank, int ranks);

enum class SharedState : uint8_t {
  kEverything,  // Whatever persists.
  kStatistics,  // States of the model, such as running statistics, which each rank has its own of.
};
// Gives every rank rank 0's persistent values. Collective.
Status BroadcastPersistents(Communicator& communicator, Executor& executor, SharedState which);

// Makes rank 0's accumulators the sums over all ranks, in their order, and the others' zero. Behind
// each micro-step but the last, so that gradients add up one by one as on one rank:
//
//   rank 0   a + g0 ─┐ sum >  a + g0 + g1 ── + g2 ─┐ sum > ...
//   rank 1   0 + g1 ─┘        0 ──────────── + g3 ─┘
//
// Exact where the number of ranks is a power of two. Collective.
Status GatherAccumulators(Communicator& communicator, Executor& executor);

// Predict of a part of `rows` on each rank; all predictions on every rank, in the order of
// `rows`. Collective: an error is that of the first rank that failed, on every rank.
Result<std::vector<SlidePrediction>> PredictOnRanks(Communicator& communicator, Executor& executor,
                                                    const Manifest& manifest,
                                                    const std::vector<int64_t>& rows,
                                                    const LoaderOptions& options,
                                                    Progress* progress);

}  // namespace wsi
