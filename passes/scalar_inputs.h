// The numbers that change from step to step: "lr", "step", "seed".
#pragma once

#include <string>

#include "compiler/ir/graph.h"
#include "runtime/base/status.h"

namespace wsi {

// The scalar input called `name`, made where the graph has none yet. kInvalidInput
// where the model itself has a value of that name that is something else.
Result<ValueId> FindOrAddScalar(Graph& graph, const std::string& name, DType dtype);

}  // namespace wsi
