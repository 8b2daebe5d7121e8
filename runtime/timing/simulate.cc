#include "runtime/timing/simulate.h"

#include <algorithm>
#include <limits>

#include "runtime/timing/all_reduce_time.h"
#include "runtime/timing/launch_time.h"

namespace wsi {
namespace {

// How far a lane is, and the instruction that brought it there.
struct Reached {
  double seconds = 0;
  int by = -1;
};

Reached Later(const Reached& a, const Reached& b) { return b.seconds > a.seconds ? b : a; }

// A plan from a stranger may copy more than 2^63 bytes.
Bytes SaturatingAdd(Bytes a, Bytes b) {
  const Result<Bytes> sum = CheckedAdd(a, b);
  return sum.ok() ? *sum : std::numeric_limits<Bytes>::max();
}

Bytes CopiedBytes(const plan::Plan& plan, const plan::Instruction& instruction) {
  return instruction.has_copy() ? plan.buffers(instruction.copy().to()).size() : 0;
}

// What collectives take of the compute lane's time.
class SlowTimes {
 public:
  // A collective during `span` takes `share` of it; launches are placed up to `compute`, which
  // moves by what it takes of those.
  void Add(const Span& span, double share, double& compute) {
    if (share <= 0) return;
    times_.push_back({span, share});
    compute += share * std::max(std::min(span.end, compute) - span.start, 0.0);
  }

  // How long a launch of `seconds` takes that starts at `start`.
  double Stretched(double start, double seconds) const {
    if (times_.empty()) return seconds;
    double at = start;
    for (const auto& [span, share] : times_) {
      if (span.end <= at) continue;
      const double before = std::max(span.start - at, 0.0);
      if (seconds <= before) break;
      at += before;
      seconds -= before;
      const double done = (span.end - at) * (1 - share);
      if (seconds < done) return at + seconds / (1 - share) - start;
      at = span.end;
      seconds -= done;
    }
    return at + seconds - start;
  }

 private:
  struct SlowTime {
    Span span;
    double share = 0;
  };
  std::vector<SlowTime> times_;  // Ascending, for they are of one lane.
};

double Seconds(const plan::Plan& plan, const plan::Instruction& instruction,
               const plan::Rates& rates, int ranks) {
  if (instruction.has_launch()) return LaunchSeconds(rates, plan, instruction.launch());
  if (instruction.has_collective()) {
    return CollectiveSeconds(rates, plan, instruction.collective(), ranks);
  }
  if (!instruction.has_copy()) return 0;
  return CopySeconds(rates, instruction.lane(), CopiedBytes(plan, instruction));
}

}  // namespace

Bytes Timeline::copied_bytes() const {
  Bytes bytes = 0;
  for (const LaneTotals& lane : lanes) bytes = SaturatingAdd(bytes, lane.copied_bytes);
  return bytes;
}

Timeline SimulateProgram(const plan::Plan& plan, const plan::Program& program,
                         const plan::Rates& rates, const SimulateOptions& options) {
  Timeline timeline;
  timeline.spans.reserve(static_cast<size_t>(program.instructions_size()));
  timeline.blockers.reserve(static_cast<size_t>(program.instructions_size()));
  std::array<Reached, plan::Lane_ARRAYSIZE> lanes;
  SlowTimes slow;
  for (int i = 0; i < program.instructions_size(); ++i) {
    const plan::Instruction& instruction = program.instructions(i);
    if (!options.update && instruction.phase() == plan::PHASE_UPDATE) {
      timeline.spans.push_back({-1, -1});
      timeline.blockers.push_back(-1);
      continue;
    }
    const auto lane = static_cast<size_t>(instruction.lane());
    Reached start = lanes[lane];
    for (const int32_t wait : instruction.waits()) {
      start = Later(start, {timeline.spans[static_cast<size_t>(wait)].end, wait});
    }
    if (instruction.has_barrier()) {
      for (const Reached& other : lanes) start = Later(start, other);
    }
    double seconds = Seconds(plan, instruction, rates, options.ranks);
    if (instruction.has_launch()) seconds = slow.Stretched(start.seconds, seconds);
    const Reached end = {start.seconds + seconds, i};
    if (instruction.has_collective()) {
      slow.Add({start.seconds, end.seconds},
               ComputeShare(rates, plan, instruction.collective(), seconds),
               lanes[plan::LANE_COMPUTE].seconds);
    }
    timeline.spans.push_back({start.seconds, end.seconds});
    timeline.blockers.push_back(start.by);
    timeline.step_seconds = std::max(timeline.step_seconds, end.seconds);
    lanes[lane] = end;
    if (instruction.has_barrier()) {
      lanes.fill(end);
      continue;
    }
    LaneTotals& totals = timeline.lanes[lane];
    ++totals.instructions;
    totals.busy_seconds += seconds;
    totals.copied_bytes = SaturatingAdd(totals.copied_bytes, CopiedBytes(plan, instruction));
  }
  return timeline;
}

std::vector<int> CriticalChain(const Timeline& timeline) {
  const auto last = std::max_element(timeline.spans.begin(), timeline.spans.end(),
                                     [](const Span& a, const Span& b) { return a.end < b.end; });
  std::vector<int> chain;
  if (last == timeline.spans.end()) return chain;
  for (int at = static_cast<int>(last - timeline.spans.begin()); at != -1;
       at = timeline.blockers[static_cast<size_t>(at)]) {
    chain.push_back(at);
  }
  std::reverse(chain.begin(), chain.end());
  return chain;
}

}  // namespace wsi
