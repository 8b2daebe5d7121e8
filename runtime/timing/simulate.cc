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
    const double seconds = Seconds(plan, instruction, rates, options.ranks);
    const Reached end = {start.seconds + seconds, i};
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
