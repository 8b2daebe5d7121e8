#include "tools/wsirun/bench_command.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "runtime/base/file.h"
#include "runtime/base/philox.h"
#include "runtime/calibrate/fit_rates.h"
#include "runtime/comm/agreement.h"
#include "runtime/plan/plan_types.h"
#include "runtime/timing/exposed_time.h"
#include "runtime/timing/launch_time.h"
#include "runtime/timing/rates.h"
#include "runtime/timing/simulate.h"
#include "runtime/timing/trace.h"
#include "tools/wsirun/bench_report.h"
#include "tools/wsirun/ranks.h"
#include "tools/wsirun/session.h"
#include "tools/wsirun/step_times.h"

namespace wsi {
namespace {

struct Arguments {
  PlanArguments plan;
  RankArguments ranks;
  int steps = 10;
  int warmup = 2;
  bool ops = false;
  bool choices = false;
  std::string rates;
  std::string trace;
  std::string fit_rates;
  bool json = false;
  bool force = false;
};

// Uniform numbers in [-1, 1) for floats, zeros for integers (class 0), of the value's type and
// in any order. They repeat: billions would take longer to make than the steps.
Result<Tensor> SyntheticTensor(const plan::Value& value, int64_t stream) {
  const DType dtype = ValueDType(value);
  if (!IsFloat(dtype)) return Tensor::Make(dtype, ValueShape(value));
  constexpr int64_t kPeriod = 1'000'003;  // Prime, so that rows differ.
  const Shape shape = ValueShape(value);
  const int64_t count = shape.ElementCount();
  const int64_t drawn = std::min(count, kPeriod);
  WSI_ASSIGN_OR_RETURN(Tensor period, Tensor::Make(DType::kF32, Shape{drawn}));
  const PhiloxStream random(0, 0, stream);
  for (int64_t i = 0; i < drawn; ++i) {
    period.data<float>()[static_cast<size_t>(i)] = 2 * random.Uniform(i) - 1;
  }
  WSI_ASSIGN_OR_RETURN(period, period.Cast(dtype));
  WSI_ASSIGN_OR_RETURN(Tensor tensor, Tensor::Make(dtype, shape));
  const auto step = static_cast<size_t>(drawn * DTypeBytes(dtype));
  for (size_t at = 0; step > 0 && at < tensor.bytes().size(); at += step) {
    const size_t bytes = std::min(step, tensor.bytes().size() - at);
    std::copy_n(period.bytes().begin(), bytes, tensor.bytes().begin() + static_cast<ptrdiff_t>(at));
  }
  return tensor;
}

Status WriteSynthetic(Executor& executor, int program, const std::vector<Tensor>& inputs,
                      const Tensor& target) {
  const plan::Program& p = executor.plan().programs(program);
  for (int i = 0; i < p.inputs_size(); ++i) {
    WSI_RETURN_IF_ERROR(executor.WriteInput(program, i, inputs[static_cast<size_t>(i)].bytes()));
  }
  return p.target() >= 0 ? executor.WriteTarget(program, target.bytes()) : Status();
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
  const bool writes = !a.trace.empty() || !a.fit_rates.empty();
  StepTimes times;
  StepTimes of_warmup;
  for (int step = -a.warmup; step < a.steps; ++step) {
    if (step == 0 && a.ops) executor.SetTiming(true);
    const bool records = step >= 0 && (has_ranks || (step == a.steps - 1 && writes));
    if (records) executor.SetRecording(true);
    WSI_RETURN_IF_ERROR(WriteSynthetic(executor, program, inputs, target));
    WSI_RETURN_IF_ERROR(
        TimeStep(ranks, executor, program, records && has_ranks, step < 0 ? of_warmup : times));
  }
  return TimesOfAll(ranks, times);
}

Status WriteTrace(const Arguments& a, const Executor& executor, int program) {
  return WriteFile(
      a.trace,
      TraceJson(executor.plan(), program, SpansOf(executor, program), TraceKind::kMeasured),
      {.force = a.force});
}

// What the rates say of a step of all ranks; nothing where they know of no link between them.
std::optional<double> PredictStep(const plan::Plan& plan, int program, const plan::Rates& rates,
                                  int ranks) {
  if (ranks > 1 && rates.link_bytes() <= 0) return std::nullopt;
  return SimulateProgram(plan, plan.programs(program), rates, {.ranks = ranks}).step_seconds;
}

// The plan's rates with those of operators fitted to the launches of the last step.
Status WriteFittedRates(const Arguments& a, const Executor& executor, int program,
                        plan::Rates rates) {
  const plan::Plan& plan = executor.plan();
  const std::vector<RecordedSpan>& spans = executor.RecordedSpans(program);
  std::vector<LaunchSample> samples;
  for (size_t i = 0; i < spans.size(); ++i) {
    const plan::Instruction& instruction = plan.programs(program).instructions(static_cast<int>(i));
    if (!instruction.has_launch()) continue;
    const plan::Launch& launch = instruction.launch();
    if (spans[i].start < 0) {  // Ran as part of the one before it.
      if (samples.empty() || samples.back().op != launch.op()) continue;
      samples.back().flops += launch.flops();
      samples.back().bytes += launch.bytes();
      continue;
    }
    const double seconds = spans[i].end - spans[i].start - rates.launch_seconds();
    samples.push_back({.op = launch.op(),
                       .matrix = launch.matrix(),
                       .half = IsHalfLaunch(plan, launch),
                       .flops = launch.flops(),
                       .bytes = launch.bytes(),
                       .seconds = seconds});
  }
  // Those that are hardly longer than a launch say nothing of the work.
  std::erase_if(samples,
                [&](const LaunchSample& s) { return s.seconds <= rates.launch_seconds(); });
  rates.clear_operators();
  FitEachOperator(samples, &rates);
  return WriteRates(a.fit_rates, rates, {.force = a.force});
}

Status CheckOutputs(const Arguments& a) {
  for (const std::string& path : {a.trace, a.fit_rates}) {
    if (!path.empty()) WSI_RETURN_IF_ERROR(CheckOutputPath(path, a.force));
  }
  return {};
}

Status WriteOutputs(const Arguments& a, const Executor& executor, int program,
                    const plan::Rates& rates) {
  if (!a.trace.empty()) WSI_RETURN_IF_ERROR(WriteTrace(a, executor, program));
  return a.fit_rates.empty() ? Status() : WriteFittedRates(a, executor, program, rates);
}

Status Bench(const Arguments& a, Communicator& ranks) {
  const bool is_root = ranks.rank() == 0;
  WSI_RETURN_IF_ERROR(Agree(ranks, is_root ? CheckOutputs(a) : Status()));
  const double start = MarkSeconds();
  WSI_ASSIGN_OR_RETURN(const Session session, OpenSession(a.plan, a.ranks, ranks));
  const double load_seconds = MarkSeconds() - start;
  Executor& executor = *session.executor;
  const plan::Plan& plan = executor.plan();
  const int program = std::max(FindProgram(plan, "train"), 0);
  const Result<plan::Rates> rates = RatesOf(plan, a.rates);
  WSI_RETURN_IF_ERROR(Agree(ranks, rates.ok() ? Status() : rates.status()));
  WSI_ASSIGN_OR_RETURN(StepTimes times, TimeSteps(a, ranks, executor, program));
  const Status written = is_root ? WriteOutputs(a, executor, program, *rates) : Status();
  WSI_RETURN_IF_ERROR(Agree(ranks, written));
  if (!is_root) return {};
  WSI_ASSIGN_OR_RETURN(const DeviceMemory memory, session.backend->MeasureDevice());
  BenchResult result = {.program = program,
                        .ranks = ranks.size(),
                        .times = std::move(times),
                        .predicted_seconds = PredictStep(plan, program, *rates, ranks.size()),
                        .load_seconds = load_seconds,
                        .memory = memory,
                        .ops = {}};
  if (a.ops) {
    result.ops = MeasureOperators(plan, *rates, executor.OpTimes(program), program, a.steps);
  }
  if (a.json) {
    fmt::print("{}\n", BenchJson(session, result, a.choices).dump());
  } else {
    fmt::print("{}", BenchText(session, result, a.choices));
  }
  return {};
}

}  // namespace

void AddBenchCommand(CLI::App& app, int* exit_code) {
  CLI::App* command = app.add_subcommand("bench", "time steps on synthetic input");
  auto arguments = std::make_shared<Arguments>();
  AddPlanOptions(*command, &arguments->plan, false);
  AddRankOptions(*command, &arguments->ranks);
  AddCommOption(*command, &arguments->ranks);
  command->add_option("--steps", arguments->steps, "measured steps")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_option("--warmup", arguments->warmup, "steps before them")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command->add_flag("--ops", arguments->ops, "time by operator, beside what was predicted");
  command->add_flag("--choices", arguments->choices,
                    "what kernels chose where there was a choice, such as engines of cuDNN");
  command->add_option("--rates", arguments->rates,
                      "predict the step's time with these (default: the plan's own)");
  command->add_option("--trace", arguments->trace,
                      "write when each instruction of the last step ran, as wsic explain --trace");
  command->add_option("--fit-rates", arguments->fit_rates,
                      "write rates fitted to the launches of the last step, for wsic --rates");
  command->add_flag("--json", arguments->json, "print one JSON object");
  command->add_flag("--force", arguments->force, "replace existing outputs");
  command->callback([=] {
    *exit_code = RunOnRanks("bench", arguments->ranks,
                            [&](Communicator& ranks) { return Bench(*arguments, ranks); });
  });
}

}  // namespace wsi
