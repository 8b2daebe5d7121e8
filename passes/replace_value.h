// Replacing a value by an equal one without losing the model's outputs.
#pragma once

#include "compiler/ir/graph.h"

namespace wsi {

// Whether ReplaceValue(from, to) works: where `from` is an output of the model, `to`
// must be able to take over its name, so it is computed and is no output itself.
bool CanReplaceValue(const Graph& graph, ValueId from, ValueId to);

// Every use of `from` becomes `to`, which takes the name of a model output it stands
// in for. The two have the same type. REQUIRES: CanReplaceValue.
void ReplaceValue(Graph& graph, ValueId from, ValueId to);

}  // namespace wsi
