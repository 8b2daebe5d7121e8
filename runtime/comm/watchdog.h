// Ends the process when something that cannot be given up takes too long, such as MPI's own start,
// which waits for every rank.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

namespace wsi {

class Watchdog {
 public:
  // Unless destroyed within `timeout`, says on stderr that `what` has not ended, and exits with
  // `exit_code`.
  Watchdog(std::chrono::milliseconds timeout, std::string what, int exit_code);
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;
  ~Watchdog();

 private:
  std::mutex mutex_;
  std::condition_variable ended_;
  bool has_ended_ = false;
  std::thread thread_;
};

}  // namespace wsi
