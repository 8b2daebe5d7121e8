// Measures the rates of a device by running launches and copies on it.
#pragma once

#include <string>

#include "runtime/backends/backend.h"
#include "runtime/comm/communicator.h"
#include "runtime/plan/plan.pb.h"

namespace wsi {

struct CalibrateOptions {
  std::string device = {};     // Rates.device.
  std::string spill_dir = {};  // Empty: the file's rates are those of `otherwise`.
  int rounds = 5;              // Each launch counts with the median of so many.
  int64_t divisor = 1;         // Smaller images, for tests: LaunchCases.
};

// Half precision is measured with bf16, as far as the backends of all ranks compile that.
// `otherwise` gives what is not measured. All ranks measure at once, round by round, and the
// slowest of each round counts. Collective; the same on every rank, but for the device. The backend
// must have no lanes yet. kResources where device and host memory of about 0.5 GiB each cannot be
// had; an error of one rank is that of all.
Result<plan::Rates> Calibrate(Communicator& ranks, Backend* backend,
                              const CalibrateOptions& options, const plan::Rates& otherwise);

}  // namespace wsi
