// Times launches on a backend's compute lane. Private to calibrate.cc.
#pragma once

#include <memory>
#include <vector>

#include "runtime/backends/backend.h"
#include "runtime/calibrate/fit_rates.h"
#include "runtime/calibrate/launch_cases.h"

namespace wsi {

// Seconds of the launch of a few elements: what any launch takes at least.
Result<double> MeasureLaunchSeconds(Backend* backend, Lane* compute);

// Every case with the median time of `rounds`, in which the others run between, so that
// operands come from memory as they do in a step. Times are without `launch_seconds`.
Result<std::vector<LaunchSample>> MeasureLaunches(Backend* backend, Lane* compute,
                                                  const std::vector<LaunchCase>& cases, int rounds,
                                                  double launch_seconds);

}  // namespace wsi
