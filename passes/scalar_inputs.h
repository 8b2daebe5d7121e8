// Numbers that the trainer knows by name: "lr", "step", "seed", "loss_scale", which it
// sets, and the state "gradients_finite", which it reads.
#pragma once

#include <string>

#include "compiler/ir/graph.h"
#include "runtime/base/status.h"

namespace wsi {

// The scalar input called `name`, made where the graph has none yet. kInvalidInput
// where the model itself has a value of that name that is something else.
Result<ValueId> FindOrAddScalar(Graph& graph, const std::string& name, DType dtype);

// The state "gradients_finite", new: 0 behind a step whose update was skipped. As above
// where the model has that name.
Result<ValueId> AddFlagState(Graph& graph, DType dtype);

}  // namespace wsi
