#include "tools/wsic/inspect_commands.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "compiler/ir/text.h"
#include "compiler/ir/verifier.h"
#include "compiler/pass/pass_list.h"
#include "compiler/pass/pass_manager.h"
#include "frontends/onnx/onnx_operators.h"
#include "passes/pipeline.h"
#include "runtime/base/file.h"
#include "runtime/plan/plan_file.h"
#include "runtime/plan/show_plan.h"
#include "tools/wsic/model_options.h"
#include "tools/wsic/report.h"

namespace wsi {
namespace {

constexpr Bytes kMaxDumpBytes = Bytes{256} << 20;

// A dump's graph. The tensors that it only names come from tensors.safetensors beside it,
// where that exists.
Result<Graph> ReadDump(const std::string& path, TensorStore* tensors) {
  WSI_ASSIGN_OR_RETURN(const std::string text, ReadFile(path, kMaxDumpBytes));
  const std::filesystem::path beside =
      std::filesystem::path(path).parent_path() / "tensors.safetensors";
  if (std::filesystem::exists(beside)) {
    WSI_ASSIGN_OR_RETURN(WeightMap read, ReadWeights(beside.string()));
    for (auto& [name, tensor] : read) tensors->Add(name, std::move(tensor));
  }
  Result<Graph> graph = ParseGraph(text, tensors);
  if (!graph.ok()) return graph.status().WithContext(path);
  const Status valid = VerifyGraph(*graph);
  if (!valid.ok()) return InvalidInput(fmt::format("{}: {}", path, valid.message()));
  return graph;
}

struct CheckArguments {
  ModelArguments model;
  bool json = false;
};

Result<int> Check(CheckArguments& a) {
  WSI_ASSIGN_OR_RETURN(const ImportOptions options, ToImportOptions(a.model));
  WSI_ASSIGN_OR_RETURN(const std::vector<Problem> problems, CheckOnnx(a.model.path, options));
  if (a.json) {
    nlohmann::ordered_json list = nlohmann::ordered_json::array();
    for (const Problem& p : problems) {
      list.push_back({{"node", p.node}, {"op", p.op}, {"message", p.message}, {"hint", p.hint}});
    }
    fmt::print("{}\n", nlohmann::ordered_json{{"problems", list}}.dump());
  } else {
    for (const Problem& p : problems) fmt::print("{}\n", p.ToString());
  }
  if (problems.empty()) {
    fmt::print(stderr, "wsic check: {}: nothing in the way\n", a.model.path);
    return 0;
  }
  fmt::print(stderr, "wsic check: {}: {} problem{}\n", a.model.path, problems.size(),
             problems.size() == 1 ? "" : "s");
  return ExitCode(ErrorCode::kInvalidInput);
}

struct ShowArguments {
  ModelArguments file;
  ShowPlanOptions sections;
  bool json = false;
};

Status Show(ShowArguments& a) {
  const std::string extension = std::filesystem::path(a.file.path).extension().string();
  if (extension == ".onnx" || extension == ".wsir") {
    if (a.json) return UsageError("--json shows plans; models and dumps are shown as text");
    TensorStore tensors;
    WSI_ASSIGN_OR_RETURN(const ImportOptions options, ToImportOptions(a.file));
    Result<Graph> graph = extension == ".onnx" ? ImportOnnx(a.file.path, options, &tensors)
                                               : ReadDump(a.file.path, &tensors);
    if (!graph.ok()) return graph.status();
    fmt::print("{}", PrintGraph(*graph));
    return {};
  }
  WSI_ASSIGN_OR_RETURN(const PlanFile file, ReadPlan(a.file.path));
  fmt::print("{}", a.json ? PlanToJson(file.plan()) + "\n" : ShowPlan(file.plan(), a.sections));
  return {};
}

struct OptArguments {
  std::string path;
  std::string run;
};

Status Opt(const OptArguments& a) {
  TensorStore tensors;
  WSI_ASSIGN_OR_RETURN(Graph graph, ReadDump(a.path, &tensors));
  WSI_ASSIGN_OR_RETURN(const std::vector<Pass> passes, ParsePassList(a.run, AllPasses()));
  PassContext context;
  WSI_RETURN_IF_ERROR(RunPasses(graph, passes, {}, context));
  fmt::print("{}", PrintGraph(graph));
  return {};
}

}  // namespace

void AddCheckCommand(CLI::App& app, int* exit_code) {
  CLI::App* command =
      app.add_subcommand("check", "list everything that keeps a model from compiling");
  auto arguments = std::make_shared<CheckArguments>();
  AddModelOptions(*command, &arguments->model);
  command->add_flag("--json", arguments->json, "print one JSON object");
  command->callback([=] {
    const Result<int> code = Check(*arguments);
    *exit_code = code.ok() ? *code : Report("check", code.status());
  });
}

void AddShowCommand(CLI::App& app, int* exit_code) {
  CLI::App* command = app.add_subcommand("show", "print a model, a .wsir dump or a plan as text");
  auto arguments = std::make_shared<ShowArguments>();
  AddModelOptions(*command, &arguments->file);
  command->get_option("MODEL")->description("ONNX model, .wsir dump or plan");
  command->add_flag("--memory", arguments->sections.memory, "of a plan: every buffer");
  command->add_flag("--schedule", arguments->sections.schedule, "of a plan: every instruction");
  command->add_flag("--ops", arguments->sections.ops, "of a plan: work by operator");
  command->add_flag("--json", arguments->json, "of a plan: everything as one JSON object");
  command->callback([=] { *exit_code = Report("show", Show(*arguments)); });
}

void AddOptCommand(CLI::App& app, int* exit_code) {
  CLI::App* command = app.add_subcommand("opt", "run passes on a text dump and print the result");
  auto arguments = std::make_shared<OptArguments>();
  command->add_option("FILE", arguments->path, "a .wsir dump")->required();
  command->add_option("--run", arguments->run, "PASS[,PASS...], options as PASS{name=value}")
      ->required();
  std::string passes = "passes:\n";
  for (const PassEntry& entry : AllPasses()) {
    passes += fmt::format("  {:<12}{}\n", entry.name, entry.summary);
  }
  command->footer(passes);
  command->callback([=] { *exit_code = Report("opt", Opt(*arguments)); });
}

void AddOpsCommand(CLI::App& app, int* exit_code) {
  CLI::App* command = app.add_subcommand("ops", "print the operator tables (docs/operators.md)");
  command->callback([=] {
    fmt::print("{}", OperatorsPage());
    *exit_code = 0;
  });
}

}  // namespace wsi
