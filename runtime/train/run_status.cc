#include "runtime/train/run_status.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "runtime/train/events.h"

namespace wsi {
namespace {

// At once, not made durable: a launcher that has seen a rank die kills this one within
// milliseconds. The error number; 0: done.
int WriteAtOnce(const std::string& path, int flags, const std::string& text) {
  const int descriptor = open(path.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC | flags, 0666);
  if (descriptor < 0) return errno;
  errno = ENOSPC;  // Unless the write says otherwise: it was short.
  const ssize_t written = write(descriptor, text.data(), text.size());
  const int error = written == static_cast<ssize_t>(text.size()) ? 0 : errno;
  close(descriptor);
  return error;
}

}  // namespace

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
  EventFields fields = {{"phase", "failed"}, {"epoch", epoch_.load()}, {"step", step_.load()}};
  if (failure.rank >= 0) fields.emplace_back("rank", int64_t{failure.rank});
  fields.emplace_back("operation", failure.what);
  fields.emplace_back("told_by", int64_t{told_by});
  const std::string text = ToJson(fields) + "\n";
  int error = WriteAtOnce(marker_, O_EXCL, text);
  if (error == EEXIST) return false;
  const std::string temporary = path_ + ".failed";
  if (error == 0) error = WriteAtOnce(temporary, O_TRUNC, text);
  if (error == 0 && std::rename(temporary.c_str(), path_.c_str()) != 0) error = errno;
  if (error != 0) return IoError(fmt::format("{}: {}", path_, std::strerror(error)));
  return true;
}

}  // namespace wsi
