#include "tools/wsic/explain_command.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "runtime/base/file.h"
#include "runtime/plan/plan_file.h"
#include "runtime/plan/plan_types.h"
#include "runtime/timing/explain.h"
#include "runtime/timing/memory_svg.h"
#include "runtime/timing/rates.h"
#include "runtime/timing/trace.h"
#include "tools/wsic/report.h"

namespace wsi {
namespace {

struct Arguments {
  std::string plan;
  std::string program;
  std::string rates;
  std::string svg;
  std::string trace;
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

Status ExplainPlan(const Arguments& a) {
  for (const std::string& output : {a.svg, a.trace}) {
    if (!output.empty()) WSI_RETURN_IF_ERROR(CheckOutputPath(output, a.force));
  }
  WSI_ASSIGN_OR_RETURN(const PlanFile file, ReadPlan(a.plan));
  const plan::Plan& plan = file.plan();
  WSI_ASSIGN_OR_RETURN(const plan::Rates rates, RatesOf(plan, a.rates));
  WSI_ASSIGN_OR_RETURN(const int program, ChooseProgram(a, plan));
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
  command->add_option("--largest", arguments->largest, "how many buffers to list")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command->add_flag("--json", arguments->json, "print one JSON object");
  command->add_flag("--force", arguments->force, "replace existing files");
  command->callback([=] { *exit_code = Report("explain", ExplainPlan(*arguments)); });
}

}  // namespace wsi
