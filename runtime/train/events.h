// What a run tells while it goes on: events.jsonl for programs, a progress line for
// people, status.json for whoever watches from outside.
#pragma once

#include <chrono>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "runtime/base/status.h"

namespace wsi {

using EventValue = std::variant<int64_t, double, std::string>;
using EventFields = std::vector<std::pair<std::string, EventValue>>;

// Appends one JSON object a line to DIR/events.jsonl: {"event": NAME, "time": seconds
// since the epoch, FIELDS...}. A number that is not finite is written as null, as JSON
// has no other word for it. Lines are flushed as they are written.
class EventLog {
 public:
  // Appends to the file that is there: a resumed run goes on in it.
  static Result<EventLog> Open(const std::string& run_dir);
  Status Write(const std::string& event, const EventFields& fields);

 private:
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  EventLog(std::string path, std::FILE* file) : path_(std::move(path)), file_(file) {}
  std::string path_;
  std::unique_ptr<std::FILE, Close> file_;
};

// One JSON object of `fields`, keys in their order.
std::string ToJson(const EventFields& fields);

// Progress on stderr: one line that is redrawn, at most ten times a second, where
// stderr is a terminal; elsewhere a plain line at most every ten seconds.
class Progress {
 public:
  // A silent one writes nothing.
  explicit Progress(bool is_silent = false);
  // `unit` in [0, total] of this stage is done; `detail` is what to say beside the bar.
  void Update(const std::string& stage, int64_t done, int64_t total, const std::string& detail);
  // Writes a line of its own above the bar.
  void Print(const std::string& line);
  // Clears the bar.
  void Finish();

 private:
  using Clock = std::chrono::steady_clock;
  bool is_silent_;
  bool is_terminal_;
  bool drawn_ = false;
  Clock::time_point last_{};
  Clock::time_point stage_start_{};
  std::string stage_;
};

}  // namespace wsi
