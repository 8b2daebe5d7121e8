// What doctor says of cores, GPUs and links, and of where ranks would run.
#pragma once

#include <nlohmann/json.hpp>

#include "runtime/base/status.h"
#include "runtime/comm/communicator.h"

namespace wsi {

// Cores, NUMA nodes and what this process is bound to; GPUs with their nodes and links; the
// network's ports; MPI.
nlohmann::ordered_json DescribeMachine();

// An entry for each rank, with the processors it would be bound to and why: for the ranks that
// there are, or, where `ranks` has but one, for `count` of them on this machine. Those of plans for
// cuda where this machine has GPUs. Collective.
Result<nlohmann::ordered_json> DescribePlacements(Communicator& ranks, int count);

}  // namespace wsi
