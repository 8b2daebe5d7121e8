#include "runtime/train/run_folder.h"

#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>

namespace wsi {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr Bytes kMaxJsonBytes = Bytes{1} << 20;

Result<RunFolder> ReadRun(const std::string& path) {
  const std::string file = path + "/run.json";
  WSI_ASSIGN_OR_RETURN(const std::string text, ReadFile(file, kMaxJsonBytes));
  RunFolder folder;
  folder.path = path;
  try {
    const Json json = Json::parse(text);
    json.at("model_hash").get_to(folder.model_hash);
    json.at("optimizer").get_to(folder.optimizer);
    json.at("classes").get_to(folder.class_names);
  } catch (const nlohmann::json::exception& error) {
    return InvalidInput(fmt::format("{}: {}", file, error.what()));
  }
  return folder;
}

// Removes what a run writes, and nothing else.
Status RemoveRun(const std::string& path) {
  std::error_code error;
  for (const char* name : {"run.json", "checkpoints", "best.safetensors", "last.safetensors",
                           "events.jsonl", "status.json", "status.failed"}) {
    fs::remove_all(fs::path(path) / name, error);
    if (error) return IoError(fmt::format("{}/{}: {}", path, name, error.message()));
  }
  return {};
}

}  // namespace

Result<RunFolder> OpenRunFolder(const std::string& path, bool resume, bool force) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error) return IoError(fmt::format("{}: {}", path, error.message()));
  RunFolder fresh;
  fresh.path = path;
  if (!fs::exists(path + "/run.json")) return fresh;
  if (resume) return ReadRun(path);
  if (!force) {
    return UsageError(fmt::format(
        "{} holds a run; go on with --resume auto, start over with --force, or name another "
        "--run-dir",
        path));
  }
  WSI_RETURN_IF_ERROR(RemoveRun(path));
  return fresh;
}

Result<RunFolder> FindRunFolder(const std::string& path) {
  fs::path folder = fs::path(path).lexically_normal();
  for (int up = 0; up < 4 && !folder.empty(); ++up) {  // RUN/checkpoints/step-N/weights.safetensors
    std::error_code error;
    if (fs::exists(folder / "run.json", error)) return ReadRun(folder.string());
    folder = folder.parent_path();
  }
  return RunFolder();
}

Status RunFolder::Claim(const plan::Plan& plan, const Manifest& manifest, OutputOptions options) {
  const std::string& hash = plan.provenance().model_hash();
  if (!model_hash.empty() && (model_hash != hash || optimizer != plan.training().optimizer())) {
    return InvalidInput(fmt::format(
        "{}: this run was begun with another model or optimizer ({}, not {}); use its plan", path,
        optimizer, plan.training().optimizer()));
  }
  model_hash = hash;
  optimizer = plan.training().optimizer();
  class_names = manifest.class_names;
  const Json json = {{"model", plan.provenance().model_name()},
                     {"model_hash", model_hash},
                     {"compiler", plan.provenance().compiler()},
                     {"optimizer", optimizer},
                     {"manifest", manifest.path},
                     {"classes", class_names}};
  return WriteFile(path + "/run.json",
                   json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n", options);
}

}  // namespace wsi
