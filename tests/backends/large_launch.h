// Runs large cases on a backend and compares windows of what they give with the fp64
// reference.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runtime/backends/backend.h"
#include "tests/backends/large_window.h"

namespace wsi {

// A launch's operands in device memory.
struct LargeOperands {
  std::unique_ptr<Arena> arena;
  std::unique_ptr<Arena> workspace;
  std::vector<const std::byte*> inputs;
  std::vector<std::byte*> outputs;
  std::byte* record = nullptr;  // 256 bytes for FindUnset and others.
};

struct LargeOutcome {
  Status status;
  std::string skipped;  // Why nothing was run; empty: it was.
  double ms = 0;        // Of the launch.
  Bytes bytes = 0;      // Of the operands, those in place twice.
};

class LargeRunner {
 public:
  // `backend`: null where its device is not there.
  LargeRunner(std::unique_ptr<Backend> backend, int64_t seed);
  ~LargeRunner();

  LargeOutcome Run(const LargeCase& large, int64_t mark);

  // Fills the inputs, runs the launch and finds that every element of the outputs was
  // written. `types`: of the outputs.
  LargeOutcome Launch(const LargeCase& large, const OutputTypeList& types, LargeOperands& operands);
  // Compares windows of what Launch left.
  Status Check(const LargeCase& large, const OutputTypeList& types, const LargeOperands& operands,
               int64_t mark);
  // Of the kernel of the last Launch, again; ms.
  Result<double> Again(const LargeOperands& operands);
  Backend& backend() { return *backend_; }

 private:
  // Why there is no room for `bytes` on the device; empty where there is.
  std::string WhyNoRoom(Bytes bytes) const;
  Status Fill(const LargeCase& large, const OutputTypeList& types, const LargeOperands& operands);
  Status Compare(const LargeCase& large, const std::vector<int64_t>& place,
                 const OutputTypeList& types, const LargeOperands& operands);

  std::unique_ptr<Backend> backend_;
  std::unique_ptr<Lane> lane_;
  std::unique_ptr<Kernel> kernel_;  // Of the last launch.
  int64_t seed_;
};

}  // namespace wsi
