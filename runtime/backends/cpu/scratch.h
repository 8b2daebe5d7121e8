// Memory that compiled kernels share outside the plan's arenas: one region for the
// whole launch and one per worker. Launches run one after another, so each region
// is as large as the neediest kernel asks.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <vector>

#include "runtime/base/checked.h"
#include "runtime/base/status.h"

namespace wsi::cpu {

class Scratch {
 public:
  explicit Scratch(int workers) : per_worker_(static_cast<size_t>(workers)) {}

  // Called while kernels are compiled; pointers taken before may move.
  Status Require(Bytes shared_bytes, Bytes bytes_per_worker);

  // Valid while a launch runs; aligned to 4096.
  template <typename T>
  T* shared() const {
    return reinterpret_cast<T*>(shared_.get());
  }
  template <typename T>
  T* worker(int w) const {
    return reinterpret_cast<T*>(per_worker_[static_cast<size_t>(w)].get());
  }
  Bytes total_bytes() const {
    return shared_bytes_ + worker_bytes_ * static_cast<Bytes>(per_worker_.size());
  }

 private:
  struct Free {
    void operator()(std::byte* p) const { std::free(p); }
  };
  using Region = std::unique_ptr<std::byte[], Free>;
  static Result<Region> Allocate(Bytes bytes);

  Bytes shared_bytes_ = 0;
  Bytes worker_bytes_ = 0;
  Region shared_;
  std::vector<Region> per_worker_;
};

}  // namespace wsi::cpu
