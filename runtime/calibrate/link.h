// Measures what is between the ranks of a run.
#pragma once

#include "runtime/backends/backend.h"
#include "runtime/base/status.h"
#include "runtime/comm/communicator.h"
#include "runtime/timing/all_reduce_time.h"

namespace wsi {

// From means of a few bytes and of as many as gradients have, in any order, as the slowest rank
// sees them. Collective: the same link on every rank. REQUIRES: at least two ranks.
// What launches lose is what such means add to those that run on `backend` meanwhile.
Result<RankLink> MeasureLink(Communicator& ranks, Backend* backend);

}  // namespace wsi
