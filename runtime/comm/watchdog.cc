#include "runtime/comm/watchdog.h"

#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>
#include <utility>

namespace wsi {

Watchdog::Watchdog(std::chrono::milliseconds timeout, std::string what, int exit_code)
    : thread_([this, timeout, what = std::move(what), exit_code] {
        std::unique_lock lock(mutex_);
        if (ended_.wait_for(lock, timeout, [this] { return has_ended_; })) return;
        fmt::print(stderr, "wsirun: {}: not every rank took part within {} s (--comm-timeout)\n",
                   what, std::chrono::duration<double>(timeout).count());
        std::_Exit(exit_code);
      }) {}

Watchdog::~Watchdog() {
  {
    const std::lock_guard lock(mutex_);
    has_ended_ = true;
  }
  ended_.notify_one();
  thread_.join();
}

}  // namespace wsi
