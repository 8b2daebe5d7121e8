// Group: cuts the step into runs of operators whose working set fits beside what the next
// run needs brought in (Group Execution of the SC19 poster, planned from exact lifetimes).
#pragma once

#include "compiler/ir/graph.h"
#include "compiler/pass/pass.h"
#include "runtime/base/checked.h"
#include "runtime/base/status.h"
#include "runtime/plan/plan.pb.h"

namespace wsi {

// How groups are chosen:
//
//   none           there are no groups
//   footprint      dynamic program over the schedule: the least sum of
//                  max(compute, copies in of the next group, copies out) + barrier, where
//                  working set of a group + copies in of the next <= budget. Where they do
//                  not fit together, those copies cost their own time.
//   critical-path  the poster's rule: along the order, a group ends before the memory that
//                  it touches exceeds a quarter of the budget
//
// Adds a GroupEnd behind each group but the last. Requires: copies on demand. Undone by:
// residency.
enum class GroupRule : uint8_t { kNone, kFootprint, kCriticalPath };
struct GroupOptions {
  GroupRule rule = GroupRule::kNone;
  Bytes device_budget = 0;  // 0: any; one group.
  double barrier_seconds = 20e-6;
  int longest = 48;  // Operators of a group, at most, of rule footprint.
  plan::Rates rates;
};
Result<bool> GroupOperators(Graph& graph, const GroupOptions& options, PassContext& context);

// For a PassEntry called "group". Options: rule ("none", "footprint", "critical-path"),
// device_budget (bytes), longest (operators), rates (a built-in name).
Result<PassFunction> MakeGroupPass(const Attributes& options);

}  // namespace wsi
