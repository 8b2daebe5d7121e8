#include "tools/wsic/explain_command.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <vector>

#include "runtime/base/file.h"
#include "runtime/plan/plan_file.h"
#include "runtime/plan/plan_types.h"
#include "runtime/timing/explain.h"
#include "runtime/timing/memory_svg.h"
#include "runtime/timing/rates.h"
#include "runtime/timing/scaling.h"
#include "runtime/timing/trace.h"
#include "tools/wsic/report.h"

namespace wsi {
namespace {

constexpr int kMostRanks = 1 << 16;
constexpr double kSlowestLink = 1e-6;  // GB/s.
constexpr double kFastestLink = 1e6;
constexpr double kLongestLatency = 1e6;  // Microseconds.

struct Arguments {
  std::string plan;
  std::string program;
  std::string rates;
  std::string svg;
  std::string trace;
  std::vector<int> worlds;
  double link = 0;      // GB/s; 0: the rates'.
  double latency = -1;  // Microseconds; negative: the rates'.
  int largest = 20;
  bool json = false;
  bool force = false;
};

Result<int> ChooseProgram(const Arguments& a, const plan::Plan& plan) {
  if (a.program.empty()) return 0;
  const int program = FindProgram(plan, a.program);
  if (program >= 0) return program;
  return UsageError(fmt::format("{} has no program '{}'", a.plan, a.program));
}

// One number is the largest of a table: 2, 4, 8 and so on up to it.
std::vector<int> WorldsOf(const Arguments& a) {
  if (a.worlds.size() > 1) return a.worlds;
  std::vector<int> worlds;
  for (int ranks = 2; ranks < a.worlds[0]; ranks *= 2) worlds.push_back(ranks);
  worlds.push_back(a.worlds[0]);
  return worlds;
}

Status ExplainWorlds(const Arguments& a, const plan::Plan& plan, int program, plan::Rates rates) {
  if (a.link > 0) rates.set_link_bytes(a.link * 1e9);
  if (a.latency >= 0) rates.set_link_seconds(a.latency * 1e-6);
  if (rates.link_bytes() <= 0) {
    return UsageError(fmt::format(
        "--world: the rates of {} know of no link between ranks; give --link GB/s, or --rates "
        "with a file of mpirun -np 2 wsirun doctor --calibrate",
        rates.device()));
  }
  const Scaling scaling = PredictScaling(plan, program, rates, WorldsOf(a));
  fmt::print("{}",
             a.json ? ScalingJson(plan, rates, scaling) + "\n" : ScalingText(plan, rates, scaling));
  return {};
}

Status ExplainPlan(const Arguments& a) {
  for (const std::string& output : {a.svg, a.trace}) {
    if (!output.empty()) WSI_RETURN_IF_ERROR(CheckOutputPath(output, a.force));
  }
  WSI_ASSIGN_OR_RETURN(const PlanFile file, ReadPlan(a.plan));
  const plan::Plan& plan = file.plan();
  WSI_ASSIGN_OR_RETURN(const plan::Rates rates, RatesOf(plan, a.rates));
  WSI_ASSIGN_OR_RETURN(const int program, ChooseProgram(a, plan));
  if (!a.worlds.empty()) return ExplainWorlds(a, plan, program, rates);
  const Explanation explanation = Explain(plan, program, rates);
  if (!a.svg.empty()) {
    WSI_RETURN_IF_ERROR(WriteFile(a.svg, MemorySvg(plan, rates, explanation), {.force = a.force}));
  }
  if (!a.trace.empty()) {
    WSI_RETURN_IF_ERROR(WriteFile(
        a.trace, TraceJson(plan, program, explanation.timeline.spans, TraceKind::kPredicted),
        {.force = a.force}));
  }
  fmt::print("{}", a.json ? ExplanationJson(plan, rates, explanation, a.largest) + "\n"
                          : ExplanationText(plan, rates, explanation, a.largest));
  return {};
}

void AddWorldOptions(CLI::App& command, Arguments& a) {
  CLI::Option* world =
      command
          .add_option(
              "--world", a.worlds,
              "predict steps of so many ranks instead: a list such as 2,4,8, or the largest "
              "of a table")
          ->delimiter(',')
          ->allow_extra_args(false)
          ->check(CLI::Range(1, kMostRanks));
  command
      .add_option("--link", a.link,
                  "GB/s, each way, from a rank to its neighbour: the slowest such link (default: "
                  "the rates')")
      ->check(CLI::Range(kSlowestLink, kFastestLink))
      ->needs(world);
  command
      .add_option("--latency", a.latency,
                  "microseconds of a message between ranks (default: the rates')")
      ->check(CLI::Range(0.0, kLongestLatency))
      ->needs(world);
}

}  // namespace

void AddExplainCommand(CLI::App& app, int* exit_code) {
  CLI::App* command =
      app.add_subcommand("explain", "memory over a step, largest buffers, predicted times");
  auto arguments = std::make_shared<Arguments>();
  command->add_option("PLAN", arguments->plan, "a plan that wsic compile wrote")->required();
  command->add_option("--program", arguments->program, "train or infer (default: the first)");
  command->add_option("--rates", arguments->rates,
                      "cpu, h100, h200, v100 or a file of wsirun doctor --calibrate (default: the "
                      "plan's own)");
  command->add_option("--svg", arguments->svg, "draw memory and lanes into this file");
  command->add_option("--trace", arguments->trace,
                      "write the predicted lanes for chrome://tracing or ui.perfetto.dev");
  AddWorldOptions(*command, *arguments);
  command->add_option("--largest", arguments->largest, "how many buffers to list")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command->add_flag("--json", arguments->json, "print one JSON object");
  command->add_flag("--force", arguments->force, "replace existing files");
  command->callback([=] { *exit_code = Report("explain", ExplainPlan(*arguments)); });
}

}  // namespace wsi
