// Schedule: an order of nodes that lowers the peak of live bytes.
#pragma once

#include "compiler/ir/graph.h"
#include "compiler/pass/pass.h"
#include "runtime/base/status.h"

namespace wsi {

// Moves backward and update nodes to where they free memory: a weight gradient and the
// update that consumes it as soon as both are ready. Forward nodes keep their order,
// and whatever reads a state stays before the node that overwrites it.
// Requires: a graph that VerifyGraph accepts. Ensures: the exact peak of live bytes,
// and at the same peak their sum over the steps, is no higher than before.
// Undone by: any pass that adds nodes.
struct ScheduleOptions {};
Result<bool> ScheduleNodes(Graph& graph, const ScheduleOptions& options, PassContext& context);

// For a PassEntry called "schedule"; it has no options.
Result<PassFunction> MakeSchedulePass(const Attributes& options);

}  // namespace wsi
