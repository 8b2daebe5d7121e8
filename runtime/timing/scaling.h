// How a training step grows with the number of ranks: `wsic explain --world`.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "runtime/base/checked.h"
#include "runtime/plan/plan.pb.h"

namespace wsi {

// One update of all ranks: each runs the plan's micro-steps, the last with collectives and
// updates. Ranks agree behind each micro-step on going on.
struct ScalingRow {
  int ranks = 1;
  int64_t samples = 0;  // The global batch: ranks x accumulation x the plan's batch.
  double step_seconds = 0;
  double collective_seconds = 0;  // The comm lane's work, and agreements.
  double exposed_seconds = 0;     // What of that nothing hides: beyond the step of one rank.
  double efficiency = 1;          // One rank's step over this one.
};

struct Scaling {
  int program = 0;
  int64_t micro_steps = 1;  // An update.
  int64_t collectives = 0;  // An update.
  Bytes collective_bytes = 0;
  double one_rank_seconds = 0;
  std::vector<ScalingRow> rows = {};
};

// A row for each of `worlds`, numbers of ranks. Every rank computes at the plan's rates, with
// every slide as long as any other: a plan's shapes are fixed. Reading slides is not in it.
// REQUIRES: as SimulateProgram with several ranks; `worlds` are positive.
Scaling PredictScaling(const plan::Plan& plan, int program, const plan::Rates& rates,
                       std::span<const int> worlds);

// For people, and as one JSON object. REQUIRES: `scaling` is of `plan` and `rates`.
std::string ScalingText(const plan::Plan& plan, const plan::Rates& rates, const Scaling& scaling);
std::string ScalingJson(const plan::Plan& plan, const plan::Rates& rates, const Scaling& scaling);

}  // namespace wsi
