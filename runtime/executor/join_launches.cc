#include "runtime/executor/join_launches.h"

#include <fmt/format.h>

#include <vector>

#include "runtime/executor/launch_operands.h"
#include "runtime/executor/named_kernel.h"

namespace wsi {
namespace {

// Whether `next` may run in one piece with `step`, which is right before it.
bool Continues(const Step& step, const Step& next) {
  const plan::Instruction& a = *step.instruction;
  const plan::Instruction& b = *next.instruction;
  return a.has_launch() && b.has_launch() && a.launch().op() == b.launch().op() &&
         a.phase() == b.phase() && step.lane == next.lane && step.record == -1 &&
         step.taps.empty() && next.waits.empty();
}

Status Join(const plan::Plan& plan, Backend* backend, std::span<Step> steps) {
  std::vector<LaunchOperands> operands;
  std::vector<LaunchSpec> launches;
  std::vector<LaunchArguments> arguments;
  operands.reserve(steps.size());
  launches.reserve(steps.size());
  for (const Step& step : steps) {
    launches.push_back(operands.emplace_back(plan, *step.instruction).spec());
    arguments.push_back(
        {.inputs = step.inputs, .outputs = step.outputs, .workspace = step.workspace});
  }
  WSI_ASSIGN_OR_RETURN(std::unique_ptr<Kernel> kernel,
                       backend->CompileTogether(launches, arguments));
  if (!kernel) return {};
  for (Step& step : steps) step.kernel.reset();
  steps[0].kernel = std::make_unique<NamedKernel>(
      fmt::format("{} of {} to {}", launches[0].op, launches.front().node, launches.back().node),
      std::move(kernel));
  return {};
}

}  // namespace

Status JoinLaunches(const plan::Plan& plan, Backend* backend, std::span<Step> steps) {
  for (size_t begin = 0; begin < steps.size();) {
    size_t end = begin + 1;
    while (end < steps.size() && Continues(steps[end - 1], steps[end])) ++end;
    if (end - begin > 1) {
      WSI_RETURN_IF_ERROR(Join(plan, backend, steps.subspan(begin, end - begin)));
    }
    begin = end;
  }
  return {};
}

}  // namespace wsi
