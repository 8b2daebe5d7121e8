// Ends this process when it does not end by itself, also where it is stopped and none of its
// threads runs: once ranks have parted, no other rank waits for one of them any longer, and its
// launcher would do so for ever.
#pragma once

#include <chrono>

namespace wsi {

// A child process, called wsirun-guard, that lives as long as this one and does nothing until told.
// Signals that end or stop a run are not for it. Where there can be none, nothing is guarded.
class Guardian {
 public:
  // Before there is much memory: the child is a fork.
  Guardian();
  // The child stays until this process ends.
  ~Guardian() = default;
  Guardian(const Guardian&) = delete;
  Guardian& operator=(const Guardian&) = delete;

  // Unless this process has ended within `timeout` from now, the child says so on stderr and kills
  // it. To be called once.
  void WantEndWithin(std::chrono::milliseconds timeout) const;

 private:
  int to_child_ = -1;  // Closed by the end of this process, which tells the child.
};

}  // namespace wsi
