// The search for residencies: the fastest step found that fits.
#pragma once

#include <cstdint>
#include <vector>

#include "passes/copy_timing.h"
#include "passes/residency_cost.h"
#include "passes/residency_model.h"
#include "passes/residency_schedule.h"

namespace wsi {

struct ResidencyGoal {
  Bytes device_budget = 0;  // REQUIRES: above 0.
  Bytes host_budget = 0;    // Of what is offloaded or homed; 0: any.
  bool may_recompute = true;
  bool may_offload = true;
  CopyMode copies = CopyMode::kTimed;
  bool first_fit = false;         // The first plan that fits will do: whether one does is asked.
  int64_t max_work = 80'000'000;  // Operators evaluated, about; bounds the time.
  // The answer to a goal that was much the same, to go on from; null: none.
  const std::vector<GapChoice>* start = nullptr;
};

struct ResidencyAnswer {
  std::vector<GapChoice> choices;  // By gap.
  StepCost cost;                   // is_possible only where it fits the goal.
  // What would do where this does not fit; -1: nothing seen would.
  Bytes smallest_device = -1;  // The lowest device peak within the host budget.
  Bytes smallest_host = -1;    // The lowest host peak within the device budget.
};

// Starts from several plans (everything kept; everything away; what is cheap recomputed;
// blocks recomputed from what joins them), mends each until it fits, and then changes one
// gap at a time for the better until nothing is; shakes the best one and mends it again while
// there is work left and something to gain. Deterministic.
ResidencyAnswer SearchResidency(const ResidencyModel& model, const ResidencyGoal& goal);

}  // namespace wsi
