#include "runtime/backends/cpu/lanes.h"

#include <cstring>

namespace wsi::cpu {
namespace {

Status BadEvent() { return InternalError("event number out of range"); }

}  // namespace

Status InlineLane::Launch(Kernel& kernel, const LaunchArguments& arguments) {
  return kernel.Run(arguments);
}

Status InlineLane::Copy(std::byte* to, const std::byte* from, Bytes bytes) {
  std::memcpy(to, from, static_cast<size_t>(bytes));
  return {};
}

Status InlineLane::Record(int event) {
  if (!events_.IsValid(event)) return BadEvent();
  events_.Record(event);
  return {};
}

Status InlineLane::Wait(int event) {
  if (!events_.IsValid(event)) return BadEvent();
  events_.Wait(event);
  return {};
}

Status InlineLane::Mark(double* seconds) {
  *seconds = MarkSeconds();
  return {};
}

QueueLane::QueueLane(Events& events) : events_(events), ring_(64), thread_([this] { Work(); }) {}

QueueLane::~QueueLane() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

Status QueueLane::Launch(Kernel&, const LaunchArguments&) {
  return InternalError("kernels run on the compute lane only");
}

Status QueueLane::Copy(std::byte* to, const std::byte* from, Bytes bytes) {
  Push({.kind = Kind::kCopy, .to = to, .from = from, .bytes = bytes});
  return {};
}

Status QueueLane::Record(int event) {
  if (!events_.IsValid(event)) return BadEvent();
  Push({.kind = Kind::kRecord, .event = event});
  return {};
}

Status QueueLane::Wait(int event) {
  if (!events_.IsValid(event)) return BadEvent();
  Push({.kind = Kind::kWait, .event = event});
  return {};
}

Status QueueLane::Mark(double* seconds) {
  Push({.kind = Kind::kMark, .seconds = seconds});
  return {};
}

Status QueueLane::Synchronize() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return pending_ == 0; });
  return {};
}

void QueueLane::Push(const Item& item) {
  {
    const std::lock_guard lock(mutex_);
    if (pending_ == ring_.size()) {
      std::vector<Item> grown(2 * ring_.size());
      for (size_t i = 0; i < pending_; ++i) grown[i] = ring_[(first_ + i) % ring_.size()];
      ring_ = std::move(grown);
      first_ = 0;
    }
    ring_[(first_ + pending_) % ring_.size()] = item;
    ++pending_;
  }
  changed_.notify_all();
}

void QueueLane::Work() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [&] { return stop_ || pending_ > 0; });
    if (pending_ == 0) return;
    const Item item = ring_[first_];
    lock.unlock();
    switch (item.kind) {
      case Kind::kCopy: std::memcpy(item.to, item.from, static_cast<size_t>(item.bytes)); break;
      case Kind::kRecord: events_.Record(item.event); break;
      case Kind::kWait: events_.Wait(item.event); break;
      case Kind::kMark: *item.seconds = MarkSeconds(); break;
    }
    lock.lock();
    first_ = (first_ + 1) % ring_.size();
    --pending_;
    if (pending_ == 0) changed_.notify_all();
  }
}

}  // namespace wsi::cpu
