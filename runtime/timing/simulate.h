// Replays a program over its lanes in predicted time.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "runtime/base/checked.h"
#include "runtime/plan/plan.pb.h"

namespace wsi {

// When an instruction runs, in seconds from the start of the step. A negative start:
// not at all, as the update phase of a step without one.
struct Span {
  double start = 0;
  double end = 0;
};

struct LaneTotals {
  int64_t instructions = 0;  // Without barriers.
  double busy_seconds = 0;
  Bytes copied_bytes = 0;
};

struct Timeline {
  std::vector<Span> spans;  // By instruction.
  // The instruction whose end let this one start when it did: the one before it on its
  // lane, or one that it waits for. -1: nothing did, it starts with the step.
  std::vector<int> blockers;
  std::array<LaneTotals, plan::Lane_ARRAYSIZE> lanes;  // By plan::Lane.
  double step_seconds = 0;                             // When the last instruction has ended.

  double compute_seconds() const { return lanes[plan::LANE_COMPUTE].busy_seconds; }
  // The step's time in which the compute lane runs nothing.
  double stalled_seconds() const { return step_seconds - compute_seconds(); }
  // Its share of the step, 0 to 1.
  double stalled_share() const { return step_seconds > 0 ? stalled_seconds() / step_seconds : 0; }
  // Over all lanes between tiers; the largest Bytes if they are more.
  Bytes copied_bytes() const;
};

struct SimulateOptions {
  int ranks = 1;       // With one, a collective takes no time.
  bool update = true;  // Without, micro-steps of accumulation: no update phase.
};

// A step as the executor runs it: each lane works off its instructions in order, an
// instruction starts when those it waits for have ended, and a barrier holds every lane
// until all have reached it. Launches beside collectives take longer by what those take of their
// processors (ComputeShare). What enqueues them costs nothing, and all ranks take the same
// time. REQUIRES: `program` is one of `plan`, which has passed VerifyPlan, and
// CheckRates(rates) passes; with several ranks, the rates' link_bytes is positive.
Timeline SimulateProgram(const plan::Plan& plan, const plan::Program& program,
                         const plan::Rates& rates, const SimulateOptions& options = {});

// What the step's length is made of: the instruction that ends last, the one that held
// it up, and so on back to the start of the step; first to last.
std::vector<int> CriticalChain(const Timeline& timeline);

}  // namespace wsi
