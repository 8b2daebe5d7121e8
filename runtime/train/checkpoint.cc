#include "runtime/train/checkpoint.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <vector>

#include "runtime/base/content_hash.h"
#include "runtime/plan/plan.pb.h"
#include "runtime/plan/plan_types.h"
#include "runtime/plan/safetensors.h"

namespace wsi {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr Bytes kMaxJsonBytes = Bytes{1} << 20;
constexpr std::string_view kStepPrefix = "step-";
constexpr const char* kLatest = "LATEST";
constexpr const char* kAside = ".old";
constexpr std::array<const char*, 3> kFiles = {"weights.safetensors", "optimizer.safetensors",
                                               "trainer.json"};

Status SystemError(const std::string& path) {
  const std::string message = fmt::format("{}: {}", path, std::strerror(errno));
  return errno == ENOSPC || errno == EDQUOT ? ResourceError(message) : IoError(message);
}

Result<std::pair<Bytes, std::string>> SizeAndHash(const std::string& path) {
  WSI_ASSIGN_OR_RETURN(const InputFile file, InputFile::Open(path));
  WSI_ASSIGN_OR_RETURN(std::string hash, HashFile(path));
  return std::pair(file.size(), std::move(hash));
}

std::string StateToJson(const TrainerState& s) {
  return Json{{"seed", s.seed},
              {"step", s.step},
              {"epoch", s.epoch},
              {"position", s.position},
              {"loss_sum", s.loss_sum},
              {"loss_count", s.loss_count},
              {"best_metric", s.best_metric},
              {"best_loss", s.best_loss},
              {"best_step", s.best_step},
              {"rate_scale", s.learning_rate.scale},
              {"rate_best_metric", s.learning_rate.best_metric},
              {"rate_epochs_since_best", s.learning_rate.epochs_since_best},
              {"loss_scale", s.loss_scale.scale},
              {"loss_scale_good_steps", s.loss_scale.good_steps},
              {"loss_scale_skipped_in_row", s.loss_scale.skipped_in_row}}
             .dump(2) +
         "\n";
}

Result<TrainerState> StateFromJson(const std::string& path) {
  WSI_ASSIGN_OR_RETURN(const std::string text, ReadFile(path, kMaxJsonBytes));
  TrainerState s;
  try {
    const Json json = Json::parse(text);
    json.at("seed").get_to(s.seed);
    json.at("step").get_to(s.step);
    json.at("epoch").get_to(s.epoch);
    json.at("position").get_to(s.position);
    json.at("loss_sum").get_to(s.loss_sum);
    json.at("loss_count").get_to(s.loss_count);
    json.at("best_metric").get_to(s.best_metric);
    json.at("best_loss").get_to(s.best_loss);
    json.at("best_step").get_to(s.best_step);
    json.at("rate_scale").get_to(s.learning_rate.scale);
    json.at("rate_best_metric").get_to(s.learning_rate.best_metric);
    json.at("rate_epochs_since_best").get_to(s.learning_rate.epochs_since_best);
    json.at("loss_scale").get_to(s.loss_scale.scale);
    json.at("loss_scale_good_steps").get_to(s.loss_scale.good_steps);
    json.at("loss_scale_skipped_in_row").get_to(s.loss_scale.skipped_in_row);
  } catch (const nlohmann::json::exception& error) {
    return InvalidInput(fmt::format("{}: {}", path, error.what()));
  }
  if (s.step < 0 || s.epoch < 0 || s.position < 0 || s.loss_count < 0 ||
      s.loss_scale.good_steps < 0 || s.loss_scale.skipped_in_row < 0) {
    return InvalidInput(fmt::format("{}: a negative count", path));
  }
  if (!(s.loss_scale.scale >= LossScale::kFloor)) {
    return InvalidInput(fmt::format("{}: the loss scale is {}", path, s.loss_scale.scale));
  }
  return s;
}

// N of "step-N"; -1 for any other name.
int64_t StepOf(const std::string& name) {
  if (!name.starts_with(kStepPrefix)) return -1;
  int64_t step = -1;
  const char* end = name.data() + name.size();
  const auto [rest, error] = std::from_chars(name.data() + kStepPrefix.size(), end, step);
  return error == std::errc() && rest == end ? step : -1;
}

}  // namespace

bool IsZeroBetweenSteps(const plan::Plan& plan, int i) {
  const plan::Persistent& persistent = plan.persistents(i);
  const int train = FindProgram(plan, "train");
  if (train < 0 || !persistent.optimizer_state()) return false;
  int32_t buffer = plan.values(persistent.value()).buffer();
  const auto& instructions = plan.programs(train).instructions();
  for (auto at = instructions.rbegin(); at != instructions.rend(); ++at) {
    if (at->has_copy() && at->copy().to() == buffer) buffer = at->copy().from();
    for (const int32_t output : at->launch().outputs()) {
      if (output < 0 || plan.values(output).buffer() != buffer) continue;
      return at->launch().op() == "Fill" &&
             AttributesOf(at->launch().attributes()).Float("value", 1) == 0;
    }
  }
  return false;
}

namespace {

bool IsOfKind(const plan::Plan& plan, int i, PersistentKind kind) {
  const plan::Persistent& persistent = plan.persistents(i);
  const plan::Role role = plan.values(persistent.value()).role();
  if (role != plan::ROLE_PARAMETER && role != plan::ROLE_STATE) return false;
  if (IsZeroBetweenSteps(plan, i)) return false;
  return persistent.optimizer_state() == (kind == PersistentKind::kOptimizer);
}

std::vector<int> IndicesOfKind(const plan::Plan& plan, PersistentKind kind) {
  std::vector<int> indices;
  for (int i = 0; i < plan.persistents_size(); ++i) {
    if (IsOfKind(plan, i, kind)) indices.push_back(i);
  }
  return indices;
}

// What LoadWeights finds different about one value; empty if nothing.
std::string Difference(const SafetensorsFile& file, const plan::Persistent& persistent) {
  const SafetensorsEntry* entry = file.Find(persistent.onnx_name());
  if (entry == nullptr) return fmt::format("{} is missing", persistent.onnx_name());
  const auto& dims = persistent.onnx_dims();
  if (!std::equal(dims.begin(), dims.end(), entry->shape.begin(), entry->shape.end())) {
    return fmt::format("{} has shape {}, the plan wants [{}]", entry->name, entry->shape.ToString(),
                       fmt::join(dims, ","));
  }
  if (!IsFloat(entry->dtype)) return fmt::format("{} is {}", entry->name, DTypeName(entry->dtype));
  return {};
}

}  // namespace

Status SaveWeights(const std::string& path, Executor& executor, PersistentKind kind,
                   OutputOptions options) {
  const plan::Plan& plan = executor.plan();
  const std::vector<int> indices = IndicesOfKind(plan, kind);
  std::vector<SafetensorsEntry> entries;
  for (const int i : indices) {
    const plan::Persistent& persistent = plan.persistents(i);
    const DType dtype = ValueDType(plan.values(persistent.value()));
    WSI_ASSIGN_OR_RETURN(Shape shape,
                         Shape::Make({persistent.onnx_dims().data(),
                                      static_cast<size_t>(persistent.onnx_dims_size())}));
    entries.push_back({persistent.onnx_name(), dtype, std::move(shape), 0});
  }
  WSI_ASSIGN_OR_RETURN(
      SafetensorsWriter writer,
      SafetensorsWriter::Create(path, std::move(entries),
                                {{"format", "pt"}, {"written_by", "wsirun"}}, options));
  for (const int i : indices) {
    WSI_ASSIGN_OR_RETURN(const Tensor tensor, executor.ReadPersistent(i));
    WSI_RETURN_IF_ERROR(writer.Append(tensor));
  }
  return writer.Commit();
}

Status LoadWeights(const std::string& path, Executor& executor, PersistentKind kind) {
  WSI_ASSIGN_OR_RETURN(const SafetensorsFile file, SafetensorsFile::Open(path));
  const plan::Plan& plan = executor.plan();
  const std::vector<int> indices = IndicesOfKind(plan, kind);
  std::vector<std::string> differences;
  for (const int i : indices) {
    std::string difference = Difference(file, plan.persistents(i));
    if (!difference.empty()) differences.push_back(std::move(difference));
  }
  if (file.entries().size() > indices.size() && differences.empty()) {
    differences.push_back(fmt::format("it holds {} tensors, the plan wants {}",
                                      file.entries().size(), indices.size()));
  }
  if (!differences.empty()) {
    constexpr size_t kShown = 5;
    const size_t more = differences.size() > kShown ? differences.size() - kShown : 0;
    differences.resize(std::min(differences.size(), kShown));
    return InvalidInput(fmt::format("{}: not this plan's weights: {}{}", path,
                                    fmt::join(differences, "; "),
                                    more > 0 ? fmt::format("; and {} more", more) : ""));
  }
  for (const int i : indices) {
    WSI_ASSIGN_OR_RETURN(const Tensor tensor, file.Read(plan.persistents(i).onnx_name()));
    WSI_RETURN_IF_ERROR(executor.WritePersistent(i, tensor).WithContext(path));
  }
  return {};
}

CheckpointStore::CheckpointStore(std::string run_dir, FileOps* ops)
    : run_dir_(std::move(run_dir)),
      folder_(run_dir_ + "/checkpoints"),
      ops_(ops != nullptr ? ops : &FileOps::System()) {}

Status CheckpointStore::WriteFiles(const std::string& folder, Executor& executor,
                                   const TrainerState& state) {
  const OutputOptions options{.force = true, .ops = ops_};
  WSI_RETURN_IF_ERROR(
      SaveWeights(folder + "/" + kFiles[0], executor, PersistentKind::kModel, options));
  WSI_RETURN_IF_ERROR(
      SaveWeights(folder + "/" + kFiles[1], executor, PersistentKind::kOptimizer, options));
  WSI_RETURN_IF_ERROR(WriteFile(folder + "/" + kFiles[2], StateToJson(state), options));
  Json files = Json::array();
  for (const char* name : kFiles) {
    WSI_ASSIGN_OR_RETURN(const auto size_and_hash, SizeAndHash(folder + "/" + name));
    files.push_back(
        {{"name", name}, {"bytes", size_and_hash.first}, {"xxh3_128", size_and_hash.second}});
  }
  return WriteFile(folder + "/manifest.json",
                   Json{{"step", state.step}, {"files", files}}.dump(2) + "\n", options);
}

Status CheckpointStore::Publish(const std::string& temporary, const std::string& name) {
  const std::string target = folder_ + "/" + name;
  // The same step may be saved twice, and LATEST may name it: the old one steps aside
  // instead of vanishing, and Latest() knows where to.
  const std::string aside = target + kAside;
  std::error_code error;
  const bool exists = fs::exists(target, error);
  if (exists) {
    fs::remove_all(aside, error);
    if (ops_->Rename(target.c_str(), aside.c_str()) != 0) return SystemError(aside);
  }
  if (ops_->Rename(temporary.c_str(), target.c_str()) != 0) return SystemError(target);
  WSI_RETURN_IF_ERROR(SyncFolder(folder_, ops_));
  return WriteFile(folder_ + "/" + kLatest, name + "\n", {.force = true, .ops = ops_});
}

Status CheckpointStore::Save(Executor& executor, const TrainerState& state, int keep) {
  const std::string name = fmt::format("step-{}", state.step);
  const std::string temporary = fmt::format("{}/{}.tmp", folder_, name);
  std::error_code error;
  fs::remove_all(temporary, error);
  fs::create_directories(temporary, error);
  if (error) {
    const std::string message = fmt::format("{}: {}", temporary, error.message());
    return error == std::errc::no_space_on_device ? ResourceError(message) : IoError(message);
  }
  const Status written = WriteFiles(temporary, executor, state);
  if (!written.ok()) {
    fs::remove_all(temporary, error);
    return written.WithContext("checkpoint not saved");
  }
  const Status published = Publish(temporary, name);
  if (!published.ok()) {
    fs::remove_all(temporary, error);
    return published.WithContext("checkpoint not saved");
  }
  return Prune(state.step, keep);
}

Status CheckpointStore::Prune(int64_t newest, int keep) const {
  std::vector<int64_t> steps;
  std::vector<std::string> unwanted;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder_, error)) {
    const std::string name = entry.path().filename().string();
    const int64_t step = StepOf(name);
    if (step >= 0 && step <= newest) {
      steps.push_back(step);
    } else if (name != kLatest) {
      unwanted.push_back(name);
    }
  }
  std::sort(steps.rbegin(), steps.rend());
  for (size_t i = static_cast<size_t>(std::max(keep, 1)); i < steps.size(); ++i) {
    unwanted.push_back(fmt::format("{}{}", kStepPrefix, steps[i]));
  }
  for (const std::string& name : unwanted) {
    if (!error) fs::remove_all(fs::path(folder_) / name, error);
  }
  return error ? IoError(fmt::format("{}: {}", folder_, error.message())) : Status();
}

Result<std::optional<std::string>> CheckpointStore::Latest() const {
  const std::string latest = folder_ + "/" + kLatest;
  std::error_code error;
  if (!fs::exists(latest, error)) return std::optional<std::string>();
  WSI_ASSIGN_OR_RETURN(std::string name, ReadFile(latest, kMaxJsonBytes));
  while (!name.empty() && name.back() == '\n') name.pop_back();
  if (StepOf(name) < 0) {
    return InvalidInput(fmt::format("{}: '{}' names no checkpoint", latest, name));
  }
  const std::string folder = folder_ + "/" + name;
  return std::optional<std::string>(fs::exists(folder, error) ? folder : folder + kAside);
}

Result<TrainerState> CheckpointStore::Load(const std::string& folder, Executor& executor) const {
  const std::string manifest_path = folder + "/manifest.json";
  WSI_ASSIGN_OR_RETURN(const std::string text, ReadFile(manifest_path, kMaxJsonBytes));
  try {
    const Json files = Json::parse(text).at("files");
    if (files.size() != kFiles.size()) {
      return InvalidInput(fmt::format("{}: {} files, a checkpoint has {}", manifest_path,
                                      files.size(), kFiles.size()));
    }
    for (size_t i = 0; i < kFiles.size(); ++i) {
      const Json& file = files[i];
      const auto name = file.at("name").get<std::string>();
      if (name != kFiles[i]) {
        return InvalidInput(fmt::format("{}: unknown file '{}'", manifest_path, name));
      }
      WSI_ASSIGN_OR_RETURN(const auto found, SizeAndHash(fs::path(folder) / name));
      if (found.first != file.at("bytes").get<Bytes>() ||
          found.second != file.at("xxh3_128").get<std::string>()) {
        return InvalidInput(fmt::format(
            "{}/{}: damaged: size or hash is not the manifest's; resume from an earlier checkpoint",
            folder, name));
      }
    }
  } catch (const nlohmann::json::exception& error) {
    return InvalidInput(fmt::format("{}: {}", manifest_path, error.what()));
  }
  WSI_RETURN_IF_ERROR(LoadWeights(folder + "/" + kFiles[0], executor, PersistentKind::kModel));
  WSI_RETURN_IF_ERROR(LoadWeights(folder + "/" + kFiles[1], executor, PersistentKind::kOptimizer));
  return StateFromJson(folder + "/" + kFiles[2]);
}

Result<std::string> FindWeights(const std::string& path) {
  std::error_code error;
  if (fs::is_regular_file(path, error)) return path;
  for (const char* name : {"/best.safetensors", "/last.safetensors", "/weights.safetensors"}) {
    if (fs::is_regular_file(path + name, error)) return path + name;
  }
  WSI_ASSIGN_OR_RETURN(const std::optional<std::string> latest, CheckpointStore(path).Latest());
  if (latest.has_value()) return *latest + "/" + kFiles[0];
  return InvalidInput(fmt::format(
      "{}: no weights there; give a .safetensors file, a run folder or a checkpoint folder", path));
}

}  // namespace wsi
