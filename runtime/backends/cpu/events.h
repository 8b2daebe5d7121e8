// Points in time that lanes record and wait for.
#pragma once

#include <condition_variable>
#include <mutex>
#include <vector>

#include "runtime/base/status.h"

namespace wsi::cpu {

// Thread safety: all functions may be called from any thread, except that nothing
// may be waiting during SetCount and Reset.
class Events {
 public:
  void SetCount(int count);
  void Reset();
  // REQUIRES: 0 <= event < count.
  void Record(int event);
  // Returns once the event is recorded.
  void Wait(int event);
  bool IsValid(int event) const;

 private:
  mutable std::mutex mutex_;
  std::condition_variable recorded_;
  std::vector<bool> done_;
};

}  // namespace wsi::cpu
