#include "tools/wsic/plan_summary.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "runtime/timing/simulate.h"

namespace wsi {
namespace {

void PrintJson(const PlanSummary& summary, const Timeline& timeline) {
  const plan::Plan& plan = *summary.plan;
  nlohmann::ordered_json json = {{"fits", summary.fits},
                                 {"device_peak_bytes", plan.device_peak_bytes()},
                                 {"host_peak_bytes", plan.host_peak_bytes()},
                                 {"file_peak_bytes", plan.file_peak_bytes()},
                                 {"copied_bytes_per_step", timeline.copied_bytes()},
                                 {"predicted_step_ms", timeline.step_seconds * 1e3},
                                 {"predicted_stalled_share", timeline.stalled_share()}};
  if (!summary.fits) json["smallest_device_mem_bytes"] = summary.smallest_device_bytes;
  fmt::print("{}\n", json.dump());
}

// ", 1.2 GiB on the host" for each tier that the plan uses.
std::string OtherTiers(const plan::Plan& plan) {
  std::string text;
  if (plan.host_peak_bytes() > 0) {
    text += fmt::format(" + {} on the host", FormatBytes(plan.host_peak_bytes()));
  }
  if (plan.file_peak_bytes() > 0) {
    text += fmt::format(" + {} in files", FormatBytes(plan.file_peak_bytes()));
  }
  return text;
}

}  // namespace

void PrintSummary(const PlanSummary& summary) {
  const plan::Plan& plan = *summary.plan;
  const plan::Program& program = plan.programs(0);
  const Timeline timeline = SimulateProgram(plan, program, plan.rates());
  if (summary.json) return PrintJson(summary, timeline);
  if (!summary.fits) {
    fmt::print(stderr, "wsic: without a budget: {} on the device, {:.0f} ms predicted\n",
               FormatBytes(plan.device_peak_bytes()), timeline.step_seconds * 1e3);
    return;
  }
  double flops = 0;
  for (const plan::Instruction& i : program.instructions()) flops += i.launch().flops();
  fmt::print(stderr,
             "wsic: {}: {} at the peak{}, {} instructions, {:.2f} GFLOP a step, {:.0f} ms "
             "predicted",
             summary.path, FormatBytes(plan.device_peak_bytes()), OtherTiers(plan),
             program.instructions_size(), flops / 1e9, timeline.step_seconds * 1e3);
  if (timeline.copied_bytes() > 0) {
    fmt::print(stderr, ", {} copied, {:.1f} % stalled", FormatBytes(timeline.copied_bytes()),
               timeline.stalled_share() * 100);
  }
  fmt::print(stderr, "\n");
}

}  // namespace wsi
