// wsi-onnx-conformance: runs ONNX backend test cases and says which pass.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "tools/wsi-onnx-conformance/conformance.h"

namespace wsi {
namespace {

struct Arguments {
  std::string folder;
  std::string device = "cpu";
  bool json = false;
};

void PrintText(const std::vector<CaseResult>& results, const Counts& counts) {
  for (const CaseResult& result : results) {
    fmt::print("{:11} {}", OutcomeName(result.outcome), result.name);
    if (result.outcome == Outcome::kFailed && result.largest_difference > 0) {
      fmt::print(" (largest difference {:.3g})", result.largest_difference);
    }
    fmt::print("{}{}\n", result.message.empty() ? "" : ": ", result.message);
  }
  fmt::print("\n{:28} {:>6} {:>6} {:>12}\n", "operator", "passed", "failed", "unsupported");
  for (const auto& [op, of_op] : SummarizeByOp(results)) {
    fmt::print("{:28} {:>6} {:>6} {:>12}\n", op, of_op.passed, of_op.failed, of_op.unsupported);
  }
  fmt::print("\n{} passed, {} failed, {} unsupported\n", counts.passed, counts.failed,
             counts.unsupported);
}

nlohmann::ordered_json ToJson(const Counts& counts) {
  return {
      {"passed", counts.passed}, {"failed", counts.failed}, {"unsupported", counts.unsupported}};
}

void PrintJson(const std::vector<CaseResult>& results, const Counts& counts) {
  nlohmann::ordered_json json = ToJson(counts);
  json["operators"] = nlohmann::ordered_json::object();
  for (const auto& [op, of_op] : SummarizeByOp(results)) json["operators"][op] = ToJson(of_op);
  json["cases"] = nlohmann::ordered_json::array();
  for (const CaseResult& result : results) {
    json["cases"].push_back({{"name", result.name},
                             {"outcome", OutcomeName(result.outcome)},
                             {"operators", result.ops},
                             {"largest_difference", result.largest_difference},
                             {"message", result.message}});
  }
  fmt::print("{}\n", json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
}

Status RunAll(const Arguments& a) {
  WSI_ASSIGN_OR_RETURN(ConformanceRunner runner, ConformanceRunner::Make(a.device));
  WSI_ASSIGN_OR_RETURN(const std::vector<std::string> cases, FindCases(a.folder));
  if (cases.empty()) return InvalidInput(a.folder + ": holds no model.onnx at any depth");
  std::vector<CaseResult> results;
  Counts counts;
  for (const std::string& folder : cases) {
    const auto relative = std::filesystem::path(folder).lexically_relative(a.folder);
    results.push_back(runner.Run(folder, relative.string()));
    counts.Add(results.back().outcome);
  }
  if (a.json) {
    PrintJson(results, counts);
  } else {
    PrintText(results, counts);
  }
  if (counts.failed == 0) return {};
  return {ErrorCode::kDifference, fmt::format("{} of {} cases fail", counts.failed, cases.size())};
}

}  // namespace
}  // namespace wsi

int main(int argc, char** argv) {
  CLI::App app("Runs ONNX backend test cases in the executor", "wsi-onnx-conformance");
  app.set_version_flag("--version", "wsi-onnx-conformance " WSI_VERSION);
  wsi::Arguments arguments;
  app.add_option("DIR", arguments.folder,
                 "cases at any depth: folders with model.onnx and test_data_set_N/*.pb")
      ->required();
  app.add_option("--device", arguments.device, "cpu, cuda or reference (fp64)")
      ->check(CLI::IsMember({"cpu", "cuda", "reference"}))
      ->capture_default_str();
  app.add_flag("--json", arguments.json, "print one JSON object");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : wsi::ExitCode(wsi::ErrorCode::kUsage);
  }
  const wsi::Status status = wsi::RunAll(arguments);
  if (!status.ok()) fmt::print(stderr, "wsi-onnx-conformance: {}\n", status.message());
  return wsi::ExitCode(status.code());
}
