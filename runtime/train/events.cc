#include "runtime/train/events.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>

namespace wsi {
namespace {

constexpr auto kTerminalInterval = std::chrono::milliseconds(100);
constexpr auto kPlainInterval = std::chrono::seconds(10);
constexpr int kBarCells = 24;

std::string Bar(int64_t done, int64_t total) {
  const auto cells =
      total > 0
          ? static_cast<int>(static_cast<double>(done) / static_cast<double>(total) * kBarCells)
          : 0;
  return std::string(static_cast<size_t>(cells), '#') +
         std::string(static_cast<size_t>(kBarCells - cells), '.');
}

}  // namespace

std::string ToJson(const EventFields& fields) {
  nlohmann::ordered_json object = nlohmann::ordered_json::object();
  for (const auto& field : fields) {
    std::visit([&](const auto& v) { object[field.first] = v; }, field.second);
  }
  return object.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

Result<EventLog> EventLog::Open(const std::string& run_dir) {
  const std::string path = run_dir + "/events.jsonl";
  std::FILE* file = std::fopen(path.c_str(), "ae");
  if (file == nullptr) return IoError(fmt::format("{}: {}", path, std::strerror(errno)));
  return EventLog(path, file);
}

Status EventLog::Write(const std::string& event, const EventFields& fields) {
  EventFields all = {
      {"event", event},
      {"time",
       std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count()}};
  all.insert(all.end(), fields.begin(), fields.end());
  const std::string line = ToJson(all) + "\n";
  if (std::fwrite(line.data(), 1, line.size(), file_.get()) != line.size() ||
      std::fflush(file_.get()) != 0) {
    const std::string message = fmt::format("{}: {}", path_, std::strerror(errno));
    return errno == ENOSPC ? ResourceError(message) : IoError(message);
  }
  return {};
}

Progress::Progress(bool is_silent)
    : is_silent_(is_silent), is_terminal_(isatty(STDERR_FILENO) == 1) {}

void Progress::Update(const std::string& stage, int64_t done, int64_t total,
                      const std::string& detail) {
  if (is_silent_) return;
  const Clock::time_point now = Clock::now();
  if (stage != stage_) {
    stage_ = stage;
    stage_start_ = now;
    last_ = is_terminal_ ? Clock::time_point{} : now;
  }
  const bool is_last = done == total;
  if (now - last_ < (is_terminal_ ? Clock::duration(kTerminalInterval) : kPlainInterval) &&
      !(is_last && is_terminal_)) {
    return;
  }
  last_ = now;
  const double seconds = std::chrono::duration<double>(now - stage_start_).count();
  const double rest =
      done > 0 ? seconds / static_cast<double>(done) * static_cast<double>(total - done) : 0;
  const std::string text = fmt::format("{} [{}] {}/{} {} {:.0f} s left", stage, Bar(done, total),
                                       done, total, detail, std::ceil(rest));
  std::fprintf(stderr, is_terminal_ ? "\r\033[K%s" : "%s\n", text.c_str());
  drawn_ = is_terminal_;
  std::fflush(stderr);
}

void Progress::Print(const std::string& line) {
  if (is_silent_) return;
  Finish();
  std::fprintf(stderr, "%s\n", line.c_str());
}

void Progress::Finish() {
  if (drawn_) std::fprintf(stderr, "\r\033[K");
  drawn_ = false;
  stage_.clear();
}

}  // namespace wsi
