// Times launches on a backend's compute lane. Private to this folder.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "runtime/backends/backend.h"
#include "runtime/calibrate/fit_rates.h"
#include "runtime/calibrate/launch_cases.h"
#include "runtime/comm/communicator.h"

namespace wsi {

// Seconds of the launch of a few elements: what any launch takes at least.
Result<double> MeasureLaunchSeconds(Backend* backend, Lane* compute);

struct LaunchMeasurement {
  int rounds = 1;
  double launch_seconds = 0;  // Not part of the times.
};

// Every case with the median time of all rounds, in which the others run between, so that
// operands come from memory as they do in a step. All ranks begin a round together, and it counts
// as the slowest of them had it. Collective; the same on every rank. REQUIRES: the same cases
// there.
Result<std::vector<LaunchSample>> MeasureLaunches(Communicator& ranks, Backend* backend,
                                                  Lane* compute,
                                                  const std::vector<LaunchCase>& cases,
                                                  const LaunchMeasurement& how);

// One launch, again and again.
class RepeatedLaunch {
 public:
  static Result<RepeatedLaunch> Make(Backend* backend, const LaunchCase& launch);
  RepeatedLaunch(RepeatedLaunch&&) noexcept;
  RepeatedLaunch& operator=(RepeatedLaunch&&) noexcept;
  ~RepeatedLaunch();

  // Seconds in which `count` launches end, and `beside`, which runs on this thread meanwhile.
  Result<double> Time(Lane* compute, int count, const std::function<Status()>& beside) const;

 private:
  struct Parts;
  explicit RepeatedLaunch(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace wsi
