#include "runtime/train/run_status.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "runtime/train/events.h"

namespace wsi {

RunStatus::RunStatus(std::string run_dir, FileOps* ops)
    : path_(run_dir + "/status.json"), marker_(std::move(run_dir) + "/status.failed"), ops_(ops) {}

Status RunStatus::Start(const TrainerState& state) {
  std::error_code error;
  std::filesystem::remove(marker_, error);
  if (error) return IoError(fmt::format("{}: {}", marker_, error.message()));
  return Write("training", state);
}

Status RunStatus::Write(const std::string& phase, const TrainerState& state) {
  std::error_code error;
  if (std::filesystem::exists(marker_, error)) return {};
  return WriteFile(path_,
                   ToJson({{"phase", phase},
                           {"epoch", state.epoch},
                           {"step", state.step},
                           {"best_metric", state.best_metric},
                           {"best_step", state.best_step}}) +
                       "\n",
                   {.force = true, .ops = ops_});
}

void RunStatus::Enter(const char* stage, const TrainerState& state) {
  stage_.store(stage);
  epoch_.store(state.epoch);
  step_.store(state.step);
}

Result<bool> RunStatus::Fail(const PeerFailure& failure, int told_by) {
  const int descriptor = open(marker_.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0666);
  if (descriptor < 0 && errno == EEXIST) return false;
  if (descriptor < 0) return IoError(fmt::format("{}: {}", marker_, std::strerror(errno)));
  close(descriptor);
  EventFields fields = {{"phase", "failed"}, {"epoch", epoch_.load()}, {"step", step_.load()}};
  if (failure.rank >= 0) fields.emplace_back("rank", int64_t{failure.rank});
  fields.emplace_back("operation", failure.what);
  fields.emplace_back("told_by", int64_t{told_by});
  WSI_RETURN_IF_ERROR(WriteFile(path_, ToJson(fields) + "\n", {.force = true, .ops = ops_}));
  return true;
}

}  // namespace wsi
