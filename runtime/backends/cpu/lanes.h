// A lane: a thread with a queue.
#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "runtime/backends/backend.h"
#include "runtime/backends/cpu/events.h"

namespace wsi::cpu {

// Works in order, in a thread of its own. Enqueuing blocks while the queue is full,
// which ends because everything that a lane waits for is enqueued before the wait.
// Allocates nothing after it is made.
class QueueLane final : public Lane {
 public:
  explicit QueueLane(Events& events);
  ~QueueLane() override;
  Status Launch(Kernel& kernel, const LaunchArguments& arguments) override;
  Status Copy(std::byte* to, const std::byte* from, Bytes bytes) override;
  Status Call(HostTask& task) override;
  Status Record(int event) override;
  Status Wait(int event) override;
  Status Mark(double* seconds) override;
  Status Synchronize() override;

 private:
  static constexpr size_t kCapacity = 256;
  enum class Kind { kLaunch, kCopy, kCall, kRecord, kWait, kMark };
  struct Item {
    Kind kind = Kind::kCopy;
    Kernel* kernel = nullptr;
    LaunchArguments arguments = {};
    HostTask* task = nullptr;
    std::byte* to = nullptr;
    const std::byte* from = nullptr;
    Bytes bytes = 0;
    int event = 0;
    double* seconds = nullptr;
  };
  Status Push(const Item& item);
  void Work();
  // `failed`: no work, only records, waits and marks.
  Status Do(const Item& item, bool failed);

  Events& events_;
  std::mutex mutex_;
  std::condition_variable filled_;   // Something to do, or to stop.
  std::condition_variable drained_;  // Room again, or nothing left.
  std::vector<Item> ring_;
  size_t first_ = 0;
  size_t pending_ = 0;  // Including the one being worked on.
  Status error_;        // The first since Synchronize.
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace wsi::cpu
