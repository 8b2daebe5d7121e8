// What ranks measure at once counts as the slowest of them sees it: in a step the others wait
// for it. Private to this folder.
#pragma once

#include <vector>

#include "runtime/base/status.h"
#include "runtime/comm/communicator.h"

namespace wsi {

// The most that any rank has measured. Collective; the same on every rank. REQUIRES: not negative.
Result<double> SlowestSeconds(Communicator& ranks, double seconds);

// The times, in seconds, of the rank whose sum is largest. Collective; the same on every rank.
// REQUIRES: as many on every rank.
Result<std::vector<double>> SlowestRound(Communicator& ranks, const std::vector<double>& seconds);

}  // namespace wsi
