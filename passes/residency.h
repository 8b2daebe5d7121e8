// Residency: what happens to each value while nobody uses it, so that the step fits.
//
//   kept        %x ------------------------------------> used
//   recomputed  %x --|                 op again: %x.again > used
//   offloaded   %x --| Copy: %x.out (host) .. Copy: %x.in > used
//
// Every time in which a value is not touched is decided for itself, by a search over whole
// steps whose cost is replayed on the lanes (residency_search.h). What persists may live in
// the host tier: copied in before use, and out when it is updated.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "compiler/ir/graph.h"
#include "compiler/pass/pass.h"
#include "passes/copy_timing.h"
#include "passes/residency_schedule.h"
#include "runtime/base/checked.h"
#include "runtime/base/status.h"
#include "runtime/plan/plan.pb.h"

namespace wsi {

// Requires: a scheduled graph without copies. Ensures: the live bytes of every step, with
// what persists, are within the device budget; copies stand where they are needed. Undone
// by: common-subexpression elimination. kResources, with the lowest peak found, where the
// step does not fit.
struct ResidencyOptions {
  Bytes device_budget = 0;  // 0: everything stays; nothing is done.
  Bytes host_budget = 0;    // 0: any.
  bool recompute = true;
  bool offload = true;
  CopyMode copies = CopyMode::kTimed;  // How the prefetch pass will place them.
  bool first_fit = false;              // Any plan that fits will do.
  // Values that never leave the device and are never recomputed: those below this. 0:
  // below SmallestMoved(device_budget).
  Bytes smallest = 0;
  // Persistent values that live in the host tier.
  std::set<std::string, std::less<>> homed;
  plan::Rates rates;
  // In: where the search begins, if not empty: the answer for a budget that was much the
  // same. Out: its answer. Null: neither.
  std::vector<GapChoice>* memory = nullptr;
};
// What is smaller is a small part of the budget, whatever becomes of it.
constexpr Bytes SmallestMoved(Bytes device_budget) {
  return device_budget / 8192 < kBufferAlignment ? kBufferAlignment : device_budget / 8192;
}
Result<bool> PlanResidency(Graph& graph, const ResidencyOptions& options, PassContext& context);

// For a PassEntry called "residency". Options: device_budget, host_budget, smallest (bytes),
// recompute, offload, home (0 or 1: whether what persists lives on the host), copies
// ("demand" or "timed"), rates (a built-in name).
Result<PassFunction> MakeResidencyPass(const Attributes& options);

}  // namespace wsi
