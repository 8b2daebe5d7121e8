// Random training steps of real operators: chains and joins, views, operators that work
// in place, states that are updated, workspaces, and backward nodes in a poor order.
#pragma once

#include <cstdint>

#include "compiler/ir/graph.h"

namespace wsi {

// A graph of about `nodes` nodes that VerifyGraph accepts.
Graph MakeRandomStep(uint64_t seed, int nodes, TensorStore* tensors);

}  // namespace wsi
