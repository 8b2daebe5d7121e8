#include "runtime/timing/explain.h"

#include <algorithm>

namespace wsi {
namespace {

void AddToGroup(const plan::Plan& plan, const plan::Instruction& instruction, const Span& span,
                ProgramGroup& group) {
  if (instruction.lane() == plan::LANE_COMPUTE) group.compute_seconds += span.end - span.start;
  if (!instruction.has_copy()) return;
  const Bytes bytes = plan.buffers(instruction.copy().to()).size();
  const Result<Bytes> sum = CheckedAdd(group.copied_bytes, bytes);
  if (sum.ok()) group.copied_bytes = *sum;
}

std::vector<ProgramGroup> FindGroups(const plan::Plan& plan, const Explanation& e) {
  const plan::Program& program = plan.programs(e.program);
  const std::vector<Bytes>& live = e.memory.tiers[plan::TIER_DEVICE].live;
  std::vector<ProgramGroup> groups;
  ProgramGroup group;
  double start = 0;
  double end = 0;
  const auto close = [&](int i) {
    if (i > group.begin) {
      group.end = i;
      group.seconds = end - start;
      groups.push_back(group);
    }
    group = {.begin = i + 1};
    start = end;
  };
  for (int i = 0; i < program.instructions_size(); ++i) {
    const auto index = static_cast<size_t>(i);
    end = std::max(end, e.timeline.spans[index].end);
    if (program.instructions(i).has_barrier()) {
      close(i);
      continue;
    }
    AddToGroup(plan, program.instructions(i), e.timeline.spans[index], group);
    group.device_peak = std::max(group.device_peak, live[index]);
  }
  if (groups.empty() && group.begin == 0) return {};  // No barrier.
  close(program.instructions_size());
  return groups;
}

}  // namespace

Explanation Explain(const plan::Plan& plan, int program, const plan::Rates& rates) {
  Explanation explanation;
  explanation.program = program;
  explanation.timeline = SimulateProgram(plan, plan.programs(program), rates);
  explanation.memory = ComputeMemoryTimeline(plan, program);
  explanation.groups = FindGroups(plan, explanation);
  return explanation;
}

}  // namespace wsi
