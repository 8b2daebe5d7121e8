// Measures the rates of a device by running launches and copies on it.
#pragma once

#include <string>

#include "runtime/backends/backend.h"
#include "runtime/plan/plan.pb.h"

namespace wsi {

struct CalibrateOptions {
  std::string device = {};     // Rates.device.
  std::string spill_dir = {};  // Empty: the file's rates are those of `otherwise`.
  int rounds = 3;              // Each launch counts with the median of so many.
  int64_t divisor = 1;         // Smaller images, for tests: LaunchCases.
};

struct Calibration {
  plan::Rates rates;
  double seconds = 0;  // What was measured took so long, each launch once.
};

// Half precision is measured with bf16, as far as the backend compiles that. `otherwise`
// gives what is not measured. The backend must have no lanes yet.
// kResources where device and host memory of about 0.5 GiB each cannot be had.
Result<Calibration> Calibrate(Backend* backend, const CalibrateOptions& options,
                              const plan::Rates& otherwise);

}  // namespace wsi
