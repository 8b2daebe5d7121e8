// Errors that only a running kernel can see, such as an index outside its axis: the
// kernel writes the first one into device memory, the compute lane reports it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/base/status.h"

struct CUstream_st;

namespace wsi::cuda {

// What kernels write. `place` is 1 + the number that Register gave; 0: no fault.
struct FaultRecord {
  unsigned int place;
  long long value;
};

class Faults {
 public:
  Faults() = default;
  ~Faults();
  Faults(const Faults&) = delete;
  Faults& operator=(const Faults&) = delete;
  Status Allocate();

  // The number of a place in a kernel that may fail, and what to say then: "{}" stands for
  // the value that the kernel gives.
  int Register(std::string message);
  FaultRecord* device_record() const { return device_; }

  // Waits for the stream; the first fault since the last call as kInvalidInput.
  Status Synchronize(CUstream_st* stream);

 private:
  std::vector<std::string> messages_;
  FaultRecord* device_ = nullptr;
  FaultRecord* host_ = nullptr;
};

}  // namespace wsi::cuda
