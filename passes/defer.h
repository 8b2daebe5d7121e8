// Defer: updates that wait for other ranks run later, so that nobody waits.
#pragma once

#include "compiler/ir/graph.h"
#include "compiler/pass/pass.h"
#include "runtime/base/status.h"

namespace wsi {

// Moves what reads means over the ranks, to the end of the step where there is room to keep the
// gradients until then, so that their collectives run while backward goes on:
//
//   compute   grad 3 |  . . .  update 3 | grad 2 |  . . .  update 2      each waits for its mean
//   comm             | means 3          |        | means 2
//
//   compute   grad 3 | grad 2  | grad 1 | update 3 | update 2 | ...      deferred
//   comm             | means 3 | means 2          | means 1
//
// Updates keep their order, and stay ahead of what has to come behind them: copies of what they
// write, and the end of a group. Where memory is short, the oldest goes first.
// Requires: a scheduled graph. Ensures: the exact peak of live bytes is no higher than before.
// Undone by: schedule.
struct DeferOptions {
  bool updates = true;  // Or nothing is moved.
};
Result<bool> DeferUpdates(Graph& graph, const DeferOptions& options, PassContext& context);

}  // namespace wsi
