// The two kinds of lanes: one that works in its caller's thread and one that is a
// thread with a queue.
#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "runtime/backends/backend.h"
#include "runtime/backends/cpu/events.h"

namespace wsi::cpu {

// Everything is done when the call returns. A wait blocks the caller, so whatever
// records the event has to be enqueued on another lane before.
class InlineLane final : public Lane {
 public:
  explicit InlineLane(Events& events) : events_(events) {}
  Status Launch(Kernel& kernel, const LaunchArguments& arguments) override;
  Status Copy(std::byte* to, const std::byte* from, Bytes bytes) override;
  Status Record(int event) override;
  Status Wait(int event) override;
  Status Mark(double* seconds) override;
  Status Synchronize() override { return {}; }

 private:
  Events& events_;
};

// Copies, in order, in a thread of its own. Kernels do not run here.
class QueueLane final : public Lane {
 public:
  explicit QueueLane(Events& events);
  ~QueueLane() override;
  Status Launch(Kernel& kernel, const LaunchArguments& arguments) override;
  Status Copy(std::byte* to, const std::byte* from, Bytes bytes) override;
  Status Record(int event) override;
  Status Wait(int event) override;
  Status Mark(double* seconds) override;
  Status Synchronize() override;

 private:
  enum class Kind { kCopy, kRecord, kWait, kMark };
  struct Item {
    Kind kind = Kind::kCopy;
    std::byte* to = nullptr;
    const std::byte* from = nullptr;
    Bytes bytes = 0;
    int event = 0;
    double* seconds = nullptr;
  };
  void Push(const Item& item);
  void Work();

  Events& events_;
  std::mutex mutex_;
  std::condition_variable changed_;
  // A ring that grows to the most items ever pending, then allocates no more.
  std::vector<Item> ring_;
  size_t first_ = 0;
  size_t pending_ = 0;  // Including the one being worked on.
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace wsi::cpu
