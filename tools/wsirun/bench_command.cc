#include "tools/wsirun/bench_command.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "runtime/base/file.h"
#include "runtime/base/philox.h"
#include "runtime/comm/agreement.h"
#include "runtime/plan/plan_types.h"
#include "runtime/timing/exposed_time.h"
#include "runtime/timing/rates.h"
#include "runtime/timing/simulate.h"
#include "runtime/timing/trace.h"
#include "tools/wsirun/ranks.h"
#include "tools/wsirun/session.h"
#include "tools/wsirun/step_times.h"

namespace wsi {
namespace {

using Json = nlohmann::ordered_json;

struct Arguments {
  PlanArguments plan;
  RankArguments ranks;
  int steps = 10;
  int warmup = 2;
  bool ops = false;
  std::string rates;
  std::string trace;
  bool json = false;
  bool force = false;
};

// Uniform numbers in [-1, 1) for floats, zeros for integers (class 0).
Result<Tensor> SyntheticTensor(const plan::Value& value, int64_t stream) {
  const DType dtype = ValueDType(value);
  if (!IsFloat(dtype)) return Tensor::Make(dtype, ValueShape(value));
  WSI_ASSIGN_OR_RETURN(Tensor tensor, Tensor::Make(DType::kF32, ValueShape(value)));
  const PhiloxStream random(0, 0, stream);
  const std::span<float> data = tensor.data<float>();
  for (size_t i = 0; i < data.size(); ++i) {
    data[i] = 2 * random.Uniform(static_cast<int64_t>(i)) - 1;
  }
  return tensor;
}

Status WriteSynthetic(Executor& executor, int program, const std::vector<Tensor>& inputs,
                      const Tensor& target) {
  const plan::Program& p = executor.plan().programs(program);
  for (int i = 0; i < p.inputs_size(); ++i) {
    WSI_RETURN_IF_ERROR(executor.WriteInput(program, i, inputs[static_cast<size_t>(i)]));
  }
  return p.target() >= 0 ? executor.WriteTarget(program, target) : Status();
}

// The spans of the last step, as they ran.
std::vector<Span> SpansOf(const Executor& executor, int program) {
  std::vector<Span> spans;
  for (const RecordedSpan& span : executor.RecordedSpans(program)) {
    spans.push_back({span.start, span.end});
  }
  return spans;
}

// One step, which all ranks begin together.
Status TimeStep(Communicator& ranks, Executor& executor, int program, bool records,
                StepTimes& times) {
  int64_t ready = 0;
  WSI_RETURN_IF_ERROR(ranks.Max(std::span(&ready, 1)));
  const auto start = std::chrono::steady_clock::now();
  const Result<double> ran = executor.Run(program, kAllPhases);
  if (!ran.ok()) return ran.status();
  times.step.push_back(
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  if (!records) return {};
  const CommunicationTime time =
      ComputeCommunicationTime(executor.plan().programs(program), SpansOf(executor, program));
  times.collectives.push_back(time.busy_seconds);
  times.exposed.push_back(time.exposed_seconds);
  return {};
}

// Each step behind the warm-up.
Result<StepTimes> TimeSteps(const Arguments& a, Communicator& ranks, Executor& executor,
                            int program) {
  const plan::Plan& plan = executor.plan();
  const plan::Program& p = plan.programs(program);
  std::vector<Tensor> inputs;
  for (const int32_t input : p.inputs()) {
    WSI_ASSIGN_OR_RETURN(Tensor tensor, SyntheticTensor(plan.values(input), input));
    inputs.push_back(std::move(tensor));
  }
  Tensor target;
  if (p.target() >= 0) {
    WSI_ASSIGN_OR_RETURN(target, SyntheticTensor(plan.values(p.target()), p.target()));
  }
  executor.SetScalar("lr", 0.0);
  const bool has_ranks = ranks.size() > 1;
  StepTimes times;
  StepTimes of_warmup;
  for (int step = -a.warmup; step < a.steps; ++step) {
    if (step == 0 && a.ops) executor.SetTiming(true);
    const bool records = step >= 0 && (has_ranks || (step == a.steps - 1 && !a.trace.empty()));
    if (records) executor.SetRecording(true);
    WSI_RETURN_IF_ERROR(WriteSynthetic(executor, program, inputs, target));
    WSI_RETURN_IF_ERROR(
        TimeStep(ranks, executor, program, records && has_ranks, step < 0 ? of_warmup : times));
  }
  return TimesOfAll(ranks, times);
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

void PrintOps(const Arguments& a, const Executor& executor, int program, Json& json) {
  std::vector<OpTime> times = executor.OpTimes(program);
  std::sort(times.begin(), times.end(),
            [](const OpTime& x, const OpTime& y) { return x.seconds > y.seconds; });
  Json list = Json::array();
  for (const OpTime& time : times) {
    const double ms = time.seconds * 1e3 / a.steps;
    list.push_back({{"op", time.op}, {"launches", time.launches / a.steps}, {"ms", ms}});
    if (!a.json) fmt::print("{:>10.2f} ms  {:>5} x {}\n", ms, time.launches / a.steps, time.op);
  }
  json["ops"] = list;
}

Status WriteTrace(const Arguments& a, const Executor& executor, int program) {
  return WriteFile(
      a.trace,
      TraceJson(executor.plan(), program, SpansOf(executor, program), TraceKind::kMeasured),
      {.force = a.force});
}

double Flops(const plan::Program& program) {
  double flops = 0;
  for (const plan::Instruction& i : program.instructions()) flops += i.launch().flops();
  return flops;
}

// What the rates say of a step of all ranks; nothing where they know of no link between them.
std::optional<double> PredictStep(const plan::Plan& plan, int program, const plan::Rates& rates,
                                  int ranks) {
  if (ranks > 1 && rates.link_bytes() <= 0) return std::nullopt;
  return SimulateProgram(plan, plan.programs(program), rates, {.ranks = ranks}).step_seconds;
}

Json TimesJson(const StepTimes& times, std::optional<double> predicted, int ranks) {
  Json json = {{"step_ms_median", Median(times.step) * 1e3},
               {"step_ms_min", *std::min_element(times.step.begin(), times.step.end()) * 1e3},
               {"predicted_step_ms", nullptr}};
  if (predicted.has_value()) json["predicted_step_ms"] = *predicted * 1e3;
  if (ranks == 1) return json;
  json["ranks"] = ranks;
  json["collective_ms"] = Median(times.collectives) * 1e3;
  json["exposed_ms"] = Median(times.exposed) * 1e3;
  json["waiting_ms"] = Median(times.waiting) * 1e3;
  return json;
}

void PrintTimes(const StepTimes& times, std::optional<double> predicted, const Executor& executor,
                int program, int ranks) {
  const plan::Plan& plan = executor.plan();
  const double median = Median(times.step);
  fmt::print("{} {}: median {:.1f} ms of {} steps ({}), {:.0f} GFLOP/s, arena {} of {} planned\n",
             plan.programs(program).name(), plan.precision(), median * 1e3, times.step.size(),
             predicted.has_value() ? fmt::format("{:.1f} predicted", *predicted * 1e3)
                                   : "the rates have no link between ranks",
             Flops(plan.programs(program)) / median / 1e9,
             FormatBytes(executor.device_arena_bytes()), FormatBytes(plan.device_peak_bytes()));
  if (ranks == 1) return;
  fmt::print(
      "{} ranks: collectives {:.2f} ms, exposed {:.2f} ms, waiting for each other {:.2f} ms\n",
      ranks, Median(times.collectives) * 1e3, Median(times.exposed) * 1e3,
      Median(times.waiting) * 1e3);
}

Status Bench(const Arguments& a, Communicator& ranks) {
  const bool is_root = ranks.rank() == 0;
  const bool traces = is_root && !a.trace.empty();
  WSI_RETURN_IF_ERROR(Agree(ranks, traces ? CheckOutputPath(a.trace, a.force) : Status()));
  const Result<Session> opened = OpenSession(a.plan, &ranks);
  WSI_RETURN_IF_ERROR(Agree(ranks, opened.ok() ? Status() : opened.status()));
  Executor& executor = *opened->executor;
  const plan::Plan& plan = executor.plan();
  const int program = std::max(FindProgram(plan, "train"), 0);
  const Result<plan::Rates> rates = RatesOf(plan, a.rates);
  WSI_RETURN_IF_ERROR(Agree(ranks, rates.ok() ? Status() : rates.status()));
  const std::optional<double> predicted = PredictStep(plan, program, *rates, ranks.size());
  WSI_ASSIGN_OR_RETURN(const StepTimes times, TimeSteps(a, ranks, executor, program));
  WSI_RETURN_IF_ERROR(Agree(ranks, traces ? WriteTrace(a, executor, program) : Status()));
  if (!is_root) return {};
  Json json = {{"program", plan.programs(program).name()},
               {"precision", plan.precision()},
               {"steps", a.steps}};
  json.update(TimesJson(times, predicted, ranks.size()));
  json.update(Json{{"gflops_per_second", Flops(plan.programs(program)) / Median(times.step) / 1e9},
                   {"device_peak_bytes", executor.device_arena_bytes()},
                   {"planned_device_peak_bytes", plan.device_peak_bytes()},
                   {"weight_bytes", WeightBytes(plan)},
                   {"backend_private_bytes", opened->backend->private_bytes()},
                   {"resident_peak_bytes", PeakResidentBytes()}});
  if (a.ops) PrintOps(a, executor, program, json);
  if (a.json) {
    fmt::print("{}\n", json.dump());
  } else {
    PrintTimes(times, predicted, executor, program, ranks.size());
  }
  return {};
}

}  // namespace

void AddBenchCommand(CLI::App& app, int* exit_code) {
  CLI::App* command = app.add_subcommand("bench", "time steps on synthetic input");
  auto arguments = std::make_shared<Arguments>();
  AddPlanOptions(*command, &arguments->plan, false);
  AddRankOptions(*command, &arguments->ranks);
  command->add_option("--steps", arguments->steps, "measured steps")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_option("--warmup", arguments->warmup, "steps before them")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command->add_flag("--ops", arguments->ops, "time by operator, each launch by itself");
  command->add_option("--rates", arguments->rates,
                      "predict the step's time with these (default: the plan's own)");
  command->add_option("--trace", arguments->trace,
                      "write when each instruction of the last step ran, as wsic explain --trace");
  command->add_flag("--json", arguments->json, "print one JSON object");
  command->add_flag("--force", arguments->force, "replace an existing trace");
  command->callback([=] {
    *exit_code = RunOnRanks("bench", arguments->ranks,
                            [&](Communicator& ranks) { return Bench(*arguments, ranks); });
  });
}

}  // namespace wsi
