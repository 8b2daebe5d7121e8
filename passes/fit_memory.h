// FitMemory: from scheduled graphs to graphs with buffers assigned within the budgets.
//
// Residency plans with sizes; only assign knows what the holes between buffers cost. So the
// passes behind schedule run again with a smaller goal for as long as the arena comes out
// larger than its budget. Updates are deferred where that fits as well, or, without a budget,
// costs less than a hundredth of the arena.
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <span>
#include <string>

#include "compiler/ir/graph.h"
#include "passes/assign.h"
#include "passes/group.h"
#include "passes/prefetch.h"
#include "passes/residency.h"
#include "runtime/base/checked.h"
#include "runtime/base/status.h"
#include "runtime/plan/plan.pb.h"

namespace wsi {

struct MemoryOptions {
  Bytes device_budget = 0;  // 0: any, and everything stays on the device.
  Bytes host_budget = 0;    // 0: any.
  Bytes file_budget = 0;    // 0: no file tier.
  bool recompute = true;
  bool offload = true;
  bool keep_state = false;  // Parameters, statistics and moments stay on the device.
  GroupRule groups = GroupRule::kNone;
  PrefetchMode prefetch = PrefetchMode::kTimed;
  bool ahead = true;       // Of prefetch by groups.
  bool first_fit = false;  // Any plan that fits will do.
  plan::Rates rates;
};

// What the passes behind schedule are told about one program.
struct MemoryGoal {
  MemoryOptions options;  // Its device budget is what residency plans with.
  std::set<std::string, std::less<>> homed;
  std::vector<GapChoice>* memory = nullptr;  // ResidencyOptions::memory
};

// Runs residency, group and prefetch on a scheduled graph.
using RunMemoryPasses = std::function<Result<Graph>(size_t program, const MemoryGoal& goal)>;
// Runs defer and assign behind them.
struct Placing {
  AssignOptions assign;
  bool defers = true;  // DeferOptions::updates
};
using RunPlacingPasses =
    std::function<Result<Graph>(size_t program, Graph graph, const Placing& placing)>;

struct FittedMemory {
  std::vector<Graph> graphs;      // By program.
  std::vector<MemoryGoal> goals;  // What the passes were told.
};

// `scheduled`: the graphs of the plan's programs. kResources, naming the smallest device
// budget seen to fit, where they do not fit.
Result<FittedMemory> FitMemory(std::span<const Graph* const> scheduled,
                               const MemoryOptions& options, const RunMemoryPasses& run,
                               const RunPlacingPasses& place);

// The smallest device budget that FitMemory fits, to one part in a hundred, by bisection over
// real plans.
Result<Bytes> SmallestDeviceBudget(std::span<const Graph* const> scheduled,
                                   const MemoryOptions& options, const RunMemoryPasses& run,
                                   const RunPlacingPasses& place);

}  // namespace wsi
