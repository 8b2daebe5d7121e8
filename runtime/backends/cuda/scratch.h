// Device memory that collectives share outside the plan's arena. They run one after another on
// their stream, so it is as large as the neediest asks.
#pragma once

#include <cstddef>

#include "runtime/base/checked.h"
#include "runtime/base/status.h"

namespace wsi::cuda {

class Scratch {
 public:
  Scratch() = default;
  ~Scratch();
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  // Called while kernels are compiled and nothing runs; pointers taken before may move.
  // kResources naming the sizes where the memory cannot be had.
  Status Require(Bytes bytes);
  // Valid while a kernel is launched; aligned to 256.
  template <typename T>
  T* at(Bytes offset) const {
    return reinterpret_cast<T*>(data_ + offset);
  }
  Bytes bytes() const { return bytes_; }

 private:
  std::byte* data_ = nullptr;
  Bytes bytes_ = 0;
};

}  // namespace wsi::cuda
