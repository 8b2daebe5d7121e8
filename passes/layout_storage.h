// Storing values in the layout that their readers want, instead of transposing them.
#pragma once

#include "compiler/ir/graph.h"
#include "runtime/base/status.h"

namespace wsi {

// Gives inputs of rank 3 and more that feed a spatial operator (through others that
// follow the layout of their operands) the channels-last order, recorded in
// Value::permutation. Returns them.
std::vector<ValueId> StoreInputsChannelsLast(Graph& graph);

// Where a persistent value is only ever read through one transposition, it is stored
// transposed instead.
bool FoldTransposesIntoPersistents(Graph& graph);

// Turns each Transpose that moves only axes of size 1 into a Reshape.
Status TransposesToViews(Graph& graph);

}  // namespace wsi
