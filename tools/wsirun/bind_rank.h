// Where this rank runs on its machine (runtime/placement).
#pragma once

#include "runtime/base/status.h"
#include "runtime/comm/communicator.h"
#include "runtime/placement/placement.h"

namespace wsi {

struct RankArguments;

// Where this rank belongs; `gpu_node` is that of its GPU, -1 without. On a machine that cannot be
// read it stays where it is, and the reason says why. Collective.
Result<Placement> PlaceRank(Communicator& ranks, int gpu_node);

// Binds this rank there, threads and memory to come included, unless --bind none. What the machine
// does not allow is left, with a note of rank 0. REQUIRES: called before either is there.
// Collective.
Status BindRank(const RankArguments& arguments, Communicator& ranks, int gpu_node);

}  // namespace wsi
