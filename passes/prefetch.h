// Prefetch: when copies are made, so that they run beside the operators.
#pragma once

#include "compiler/ir/graph.h"
#include "compiler/pass/pass.h"
#include "passes/copy_timing.h"
#include "runtime/base/checked.h"
#include "runtime/base/status.h"
#include "runtime/plan/plan.pb.h"

namespace wsi {

// Moves copies, and keeps the memory that they read with Hold:
//
//   demand  in where it is needed, out behind the last use: as the residency pass left them
//   group   in at the start of the group before that of the reader (of the reader's own
//           group where that does not fit or `ahead` is 0), out at the end of the group that
//           uses it last; a barrier ends each group
//   timed   out as soon as the contents are complete, in as late as the cost model says it
//           can start without anybody waiting
//
// Nothing is moved to where it would need more than the budget. Requires: copies on demand;
// for mode group, group ends. Undone by: residency, group.
enum class PrefetchMode : uint8_t { kDemand, kGroup, kTimed };
struct PrefetchOptions {
  Bytes device_budget = 0;  // 0: any.
  PrefetchMode mode = PrefetchMode::kTimed;
  bool ahead = true;
  plan::Rates rates;
};
Result<bool> PrefetchCopies(Graph& graph, const PrefetchOptions& options, PassContext& context);

// For a PassEntry called "prefetch". Options: device_budget (bytes), mode ("demand",
// "group", "timed"), ahead (0 or 1), rates (a built-in name).
Result<PassFunction> MakePrefetchPass(const Attributes& options);

}  // namespace wsi
