#include "runtime/backends/cpu/lanes.h"

#include <cstring>
#include <utility>

namespace wsi::cpu {
namespace {

Status BadEvent() { return InternalError("event number out of range"); }

}  // namespace

QueueLane::QueueLane(Events& events)
    : events_(events), ring_(kCapacity), thread_([this] { Work(); }) {}

QueueLane::~QueueLane() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  filled_.notify_one();
  thread_.join();
}

Status QueueLane::Launch(Kernel& kernel, const LaunchArguments& arguments) {
  return Push({.kind = Kind::kLaunch, .kernel = &kernel, .arguments = arguments});
}

Status QueueLane::Copy(std::byte* to, const std::byte* from, Bytes bytes) {
  return Push({.kind = Kind::kCopy, .to = to, .from = from, .bytes = bytes});
}

Status QueueLane::Call(HostTask& task) { return Push({.kind = Kind::kCall, .task = &task}); }

Status QueueLane::Record(int event) {
  if (!events_.IsValid(event)) return BadEvent();
  return Push({.kind = Kind::kRecord, .event = event});
}

Status QueueLane::Wait(int event) {
  if (!events_.IsValid(event)) return BadEvent();
  return Push({.kind = Kind::kWait, .event = event});
}

Status QueueLane::Mark(double* seconds) { return Push({.kind = Kind::kMark, .seconds = seconds}); }

Status QueueLane::Synchronize() {
  std::unique_lock lock(mutex_);
  drained_.wait(lock, [&] { return pending_ == 0; });
  return std::exchange(error_, Status());
}

Status QueueLane::Push(const Item& item) {
  {
    std::unique_lock lock(mutex_);
    drained_.wait(lock, [&] { return pending_ < kCapacity; });
    ring_[(first_ + pending_) % kCapacity] = item;
    ++pending_;
  }
  filled_.notify_one();
  return {};
}

void QueueLane::Work() {
  std::unique_lock lock(mutex_);
  while (true) {
    filled_.wait(lock, [&] { return stop_ || pending_ > 0; });
    if (pending_ == 0) return;
    const Item item = ring_[first_];
    const bool failed = !error_.ok();
    lock.unlock();
    Status status = Do(item, failed);
    lock.lock();
    if (error_.ok()) error_ = std::move(status);
    first_ = (first_ + 1) % kCapacity;
    --pending_;
    // A full queue is filled again in long runs, not item by item.
    if (pending_ == 0 || pending_ == kCapacity / 2) drained_.notify_all();
  }
}

Status QueueLane::Do(const Item& item, bool failed) {
  switch (item.kind) {
    case Kind::kRecord: events_.Record(item.event); return {};
    case Kind::kWait: events_.Wait(item.event); return {};
    case Kind::kMark: *item.seconds = MarkSeconds(); return {};
    case Kind::kLaunch: return failed ? Status() : item.kernel->Run(item.arguments);
    case Kind::kCall: return failed ? Status() : item.task->Run();
    case Kind::kCopy:
      if (!failed) std::memcpy(item.to, item.from, static_cast<size_t>(item.bytes));
      return {};
  }
  return {};
}

}  // namespace wsi::cpu
