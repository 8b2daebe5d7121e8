#include "tools/wsic/export_command.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>
#include <string>

#include "frontends/onnx/export.h"
#include "tools/wsic/model_options.h"
#include "tools/wsic/report.h"

namespace wsi {
namespace {

struct Arguments {
  std::string model;
  std::string weights;
  std::string output;
  bool force = false;
};

// A weights file itself, or a run's best and else last.
Result<std::string> FindWeightsFile(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::is_directory(path, error)) return path;
  for (const char* name : {"best.safetensors", "last.safetensors", "weights.safetensors"}) {
    const std::filesystem::path candidate = std::filesystem::path(path) / name;
    if (std::filesystem::is_regular_file(candidate, error)) return candidate.string();
  }
  return InvalidInput(fmt::format(
      "{}: no best.safetensors or last.safetensors in this folder; give a run's folder", path));
}

Status Export(const Arguments& a) {
  WSI_RETURN_IF_ERROR(CheckOutputPath(a.output, a.force));
  WSI_ASSIGN_OR_RETURN(const std::string weights_path, FindWeightsFile(a.weights));
  WSI_ASSIGN_OR_RETURN(const WeightMap weights, ReadWeights(weights_path));
  WSI_ASSIGN_OR_RETURN(const ExportReport report,
                       ExportOnnx(a.model, weights, a.output, {.force = a.force}));
  fmt::print(stderr, "wsic export: {}: {} tensors from {}\n", a.output, report.replaced,
             weights_path);
  if (report.inference_norms > 0) {
    fmt::print(
        stderr,
        "wsic export: {} BatchNormalization nodes use their running statistics; to train on, "
        "compile with --norm train\n",
        report.inference_norms);
  }
  if (!report.kept.empty()) {
    fmt::print(stderr, "wsic export: kept as they were: {}\n", fmt::join(report.kept, ", "));
  }
  return {};
}

}  // namespace

void AddExportCommand(CLI::App& app, int* exit_code) {
  CLI::App* command = app.add_subcommand("export", "put trained weights back into an ONNX model");
  auto arguments = std::make_shared<Arguments>();
  command->add_option("MODEL", arguments->model, "the ONNX model that was compiled")->required();
  command->add_option("--weights", arguments->weights, "a .safetensors file or a run's folder")
      ->required();
  command->add_option("-o,--output", arguments->output, "the ONNX model to write")->required();
  command->add_flag("--force", arguments->force, "replace an existing file");
  command->callback([=] { *exit_code = Report("export", Export(*arguments)); });
}

}  // namespace wsi
