#include "tools/wsirun/bench_report.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <map>

#include "runtime/timing/launch_time.h"

namespace wsi {
namespace {

using Json = nlohmann::ordered_json;

// Of the whole step, as the plan counts them.
struct Totals {
  double flops = 0;
  double bytes = 0;
};

Totals TotalsOf(const plan::Program& program) {
  Totals totals;
  for (const plan::Instruction& instruction : program.instructions()) {
    totals.flops += instruction.launch().flops();
    totals.bytes += instruction.launch().bytes();
  }
  return totals;
}

Bytes PeakResidentBytes() {
  rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
  return Bytes{usage.ru_maxrss} * 1024;
}

Bytes WeightBytes(const plan::Plan& plan) {
  Bytes bytes = 0;
  for (const plan::Persistent& p : plan.persistents()) bytes += p.data_bytes();
  return bytes;
}

// The device's memory that this program takes, its arena, code and libraries; where the
// device has none of its own, the arena. All of it is taken before the first step ends.
Bytes DevicePeakBytes(const Session& session, const DeviceMemory& memory) {
  if (memory.total == 0) return session.executor->device_arena_bytes();
  return memory.total - memory.free - memory.used_before;
}

Json TimesJson(const BenchResult& result) {
  const std::vector<double>& steps = result.times.step;
  Json json = {{"step_ms_median", Median(steps) * 1e3},
               {"step_ms_min", *std::min_element(steps.begin(), steps.end()) * 1e3},
               {"predicted_step_ms", nullptr}};
  if (result.predicted_seconds) json["predicted_step_ms"] = *result.predicted_seconds * 1e3;
  if (result.ranks == 1) return json;
  json["ranks"] = result.ranks;
  json["collective_ms"] = Median(result.times.collectives) * 1e3;
  json["exposed_ms"] = Median(result.times.exposed) * 1e3;
  json["waiting_ms"] = Median(result.times.waiting) * 1e3;
  return json;
}

Json OpsJson(const std::vector<OperatorTime>& ops) {
  Json list = Json::array();
  for (const OperatorTime& op : ops) {
    list.push_back({{"op", op.op},
                    {"launches", op.launches},
                    {"ms", op.seconds * 1e3},
                    {"predicted_ms", op.predicted_seconds * 1e3},
                    {"gflops_per_second", op.seconds > 0 ? op.flops / op.seconds / 1e9 : 0},
                    {"gbytes_per_second", op.seconds > 0 ? op.bytes / op.seconds / 1e9 : 0}});
  }
  return list;
}

std::string OpsText(const std::vector<OperatorTime>& ops) {
  std::string text;
  for (const OperatorTime& op : ops) {
    const double seconds = std::max(op.seconds, 1e-9);
    text +=
        fmt::format("{:>10.3f} ms ({:>8.3f} predicted) {:>9.1f} GFLOP/s {:>8.1f} GB/s {:>5} x {}\n",
                    op.seconds * 1e3, op.predicted_seconds * 1e3, op.flops / seconds / 1e9,
                    op.bytes / seconds / 1e9, op.launches, op.op);
  }
  return text;
}

std::string MemoryText(const Session& session, const DeviceMemory& memory) {
  const plan::Plan& plan = session.executor->plan();
  std::string text =
      fmt::format("arena {} of {} planned", FormatBytes(session.executor->device_arena_bytes()),
                  FormatBytes(plan.device_peak_bytes()));
  if (memory.total == 0) return text;
  return text + fmt::format(", {} measured on the device (of it {} code), {} before",
                            FormatBytes(DevicePeakBytes(session, memory)),
                            FormatBytes(session.backend->private_bytes()),
                            FormatBytes(memory.used_before));
}

}  // namespace

std::vector<OperatorTime> MeasureOperators(const plan::Plan& plan, const plan::Rates& rates,
                                           const std::vector<OpTime>& times, int program,
                                           int steps) {
  std::map<std::string, OperatorTime> by_name;
  for (const plan::Instruction& instruction : plan.programs(program).instructions()) {
    if (!instruction.has_launch()) continue;
    const plan::Launch& launch = instruction.launch();
    OperatorTime& op = by_name[launch.op()];
    op.flops += launch.flops();
    op.bytes += launch.bytes();
    op.predicted_seconds += LaunchSeconds(rates, plan, launch);
  }
  std::vector<OperatorTime> ops;
  for (const OpTime& time : times) {
    OperatorTime& op = by_name[time.op];
    op.op = time.op;
    op.launches = time.launches / steps;
    op.seconds = time.seconds / steps;
    ops.push_back(op);
  }
  std::sort(ops.begin(), ops.end(),
            [](const OperatorTime& x, const OperatorTime& y) { return x.seconds > y.seconds; });
  return ops;
}

Json BenchJson(const Session& session, const BenchResult& result, bool choices) {
  const plan::Plan& plan = session.executor->plan();
  const plan::Program& program = plan.programs(result.program);
  const double median = Median(result.times.step);
  const Totals totals = TotalsOf(program);
  Json json = {{"program", program.name()},
               {"precision", plan.precision()},
               {"steps", result.times.step.size()}};
  json.update(TimesJson(result));
  json.update(Json{{"load_ms", result.load_seconds * 1e3},
                   {"replayed_steps", session.executor->ReplayedRuns(result.program)},
                   {"gflops_per_second", totals.flops / median / 1e9},
                   {"gbytes_per_second", totals.bytes / median / 1e9},
                   {"device_peak_bytes", DevicePeakBytes(session, result.memory)},
                   {"planned_device_peak_bytes", plan.device_peak_bytes()},
                   {"device_arena_bytes", session.executor->device_arena_bytes()},
                   {"device_bytes_before", result.memory.used_before},
                   {"host_arena_bytes", plan.host_peak_bytes()},
                   {"weight_bytes", WeightBytes(plan)},
                   {"backend_private_bytes", session.backend->private_bytes()},
                   {"resident_peak_bytes", PeakResidentBytes()}});
  if (!result.ops.empty()) json["ops"] = OpsJson(result.ops);
  if (choices) json["choices"] = session.backend->Choices();
  return json;
}

std::string BenchText(const Session& session, const BenchResult& result, bool choices) {
  const plan::Plan& plan = session.executor->plan();
  const plan::Program& program = plan.programs(result.program);
  const double median = Median(result.times.step);
  const Totals totals = TotalsOf(program);
  std::string text = OpsText(result.ops);
  if (choices) {
    for (const std::string& choice : session.backend->Choices()) text += choice + "\n";
  }
  text += fmt::format("{} {}: median {:.1f} ms of {} steps ({}), {:.0f} GFLOP/s, {:.0f} GB/s, {}\n",
                      program.name(), plan.precision(), median * 1e3, result.times.step.size(),
                      result.predicted_seconds.has_value()
                          ? fmt::format("{:.1f} predicted", *result.predicted_seconds * 1e3)
                          : "the rates have no link between ranks",
                      totals.flops / median / 1e9, totals.bytes / median / 1e9,
                      MemoryText(session, result.memory));
  if (result.ranks == 1) return text;
  return text + fmt::format(
                    "{} ranks: collectives {:.2f} ms, exposed {:.2f} ms, waiting for each other "
                    "{:.2f} ms\n",
                    result.ranks, Median(result.times.collectives) * 1e3,
                    Median(result.times.exposed) * 1e3, Median(result.times.waiting) * 1e3);
}

}  // namespace wsi
