// What the steps of a bench take, on all ranks together.
#pragma once

#include <vector>

#include "runtime/base/status.h"
#include "runtime/comm/communicator.h"

namespace wsi {

// Seconds by step.
struct StepTimes {
  std::vector<double> step;         // Of the slowest rank.
  std::vector<double> collectives;  // Of the rank that waited least: all others were there.
  std::vector<double> exposed;      // While that rank computed nothing: the least of any.
  std::vector<double> waiting;      // By which the collectives of some rank took longer.
};

// From each rank's own times, where `collectives` and `exposed` are its own and `waiting` is empty,
// those of all. Collective.
Result<StepTimes> TimesOfAll(Communicator& ranks, const StepTimes& own);

// REQUIRES: there is a value.
double Median(std::vector<double> values);

}  // namespace wsi
