#include "tools/wsirun/bench_command.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "runtime/base/file.h"
#include "runtime/base/philox.h"
#include "runtime/plan/plan_types.h"
#include "runtime/timing/rates.h"
#include "runtime/timing/simulate.h"
#include "runtime/timing/trace.h"
#include "tools/wsirun/report.h"
#include "tools/wsirun/session.h"

namespace wsi {
namespace {

using Json = nlohmann::ordered_json;

struct Arguments {
  PlanArguments plan;
  int steps = 10;
  int warmup = 2;
  bool ops = false;
  std::string rates;
  std::string trace;
  bool json = false;
  bool force = false;
};

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

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

// Seconds of each step, after the warm-up.
Result<std::vector<double>> TimeSteps(const Arguments& a, Executor& executor, int program) {
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
  std::vector<double> seconds;
  for (int step = -a.warmup; step < a.steps; ++step) {
    if (step == 0 && a.ops) executor.SetTiming(true);
    if (step == a.steps - 1 && !a.trace.empty()) executor.SetRecording(true);
    WSI_RETURN_IF_ERROR(WriteSynthetic(executor, program, inputs, target));
    const auto start = std::chrono::steady_clock::now();
    const Result<double> ran = executor.Run(program, kAllPhases);
    if (!ran.ok()) return ran.status();
    if (step >= 0) {
      seconds.push_back(
          std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    }
  }
  return seconds;
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

// The lanes of the last step, as they ran.
Status WriteTrace(const Arguments& a, const Executor& executor, int program) {
  std::vector<Span> spans;
  for (const RecordedSpan& span : executor.RecordedSpans(program)) {
    spans.push_back({span.start, span.end});
  }
  return WriteFile(a.trace, TraceJson(executor.plan(), program, spans, TraceKind::kMeasured),
                   {.force = a.force});
}

Status Bench(const Arguments& a) {
  if (!a.trace.empty()) WSI_RETURN_IF_ERROR(CheckOutputPath(a.trace, a.force));
  WSI_ASSIGN_OR_RETURN(const Session session, OpenSession(a.plan));
  Executor& executor = *session.executor;
  const plan::Plan& plan = executor.plan();
  const int program = std::max(FindProgram(plan, "train"), 0);
  WSI_ASSIGN_OR_RETURN(const plan::Rates rates, RatesOf(plan, a.rates));
  const double predicted = SimulateProgram(plan, plan.programs(program), rates).step_seconds;
  WSI_ASSIGN_OR_RETURN(const std::vector<double> seconds, TimeSteps(a, executor, program));
  if (!a.trace.empty()) WSI_RETURN_IF_ERROR(WriteTrace(a, executor, program));
  double flops = 0;
  for (const plan::Instruction& i : plan.programs(program).instructions()) {
    flops += i.launch().flops();
  }
  const double median = Median(seconds);
  Json json = {{"program", plan.programs(program).name()},
               {"precision", plan.precision()},
               {"steps", a.steps},
               {"step_ms_median", median * 1e3},
               {"step_ms_min", *std::min_element(seconds.begin(), seconds.end()) * 1e3},
               {"predicted_step_ms", predicted * 1e3},
               {"gflops_per_second", flops / median / 1e9},
               {"device_peak_bytes", executor.device_arena_bytes()},
               {"planned_device_peak_bytes", plan.device_peak_bytes()},
               {"weight_bytes", WeightBytes(plan)},
               {"backend_private_bytes", session.backend->private_bytes()},
               {"resident_peak_bytes", PeakResidentBytes()}};
  if (a.ops) PrintOps(a, executor, program, json);
  if (a.json) {
    fmt::print("{}\n", json.dump());
  } else {
    fmt::print(
        "{} {}: median {:.1f} ms of {} steps ({:.1f} predicted), {:.0f} GFLOP/s, arena {} of {} "
        "planned\n",
        plan.programs(program).name(), plan.precision(), median * 1e3, a.steps, predicted * 1e3,
        flops / median / 1e9, FormatBytes(executor.device_arena_bytes()),
        FormatBytes(plan.device_peak_bytes()));
  }
  return {};
}

}  // namespace

void AddBenchCommand(CLI::App& app, int* exit_code) {
  CLI::App* command = app.add_subcommand("bench", "time steps on synthetic input");
  auto arguments = std::make_shared<Arguments>();
  AddPlanOptions(*command, &arguments->plan, false);
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
  command->callback([=] { *exit_code = Report("bench", Bench(*arguments)); });
}

}  // namespace wsi
