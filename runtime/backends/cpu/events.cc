#include "runtime/backends/cpu/events.h"

#include <algorithm>

namespace wsi::cpu {

void Events::SetCount(int count) {
  const std::lock_guard lock(mutex_);
  done_.assign(static_cast<size_t>(count), false);
}

void Events::Reset() {
  const std::lock_guard lock(mutex_);
  std::fill(done_.begin(), done_.end(), false);
}

void Events::Record(int event) {
  {
    const std::lock_guard lock(mutex_);
    done_[static_cast<size_t>(event)] = true;
  }
  recorded_.notify_all();
}

void Events::Wait(int event) {
  std::unique_lock lock(mutex_);
  recorded_.wait(lock, [&] { return done_[static_cast<size_t>(event)]; });
}

bool Events::IsValid(int event) const {
  const std::lock_guard lock(mutex_);
  return event >= 0 && static_cast<size_t>(event) < done_.size();
}

}  // namespace wsi::cpu
