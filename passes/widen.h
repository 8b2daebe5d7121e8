// Widen: every floating-point value becomes f64, for the reference device.
//
// Inputs and computed values change type; weights keep their stored tensors and are
// widened when the plan is written; constants get f64 tensors, so that folding them is
// exact to f64 too.
// Requires: an imported graph.
#pragma once

#include "compiler/ir/graph.h"
#include "compiler/pass/pass_context.h"
#include "runtime/base/status.h"

namespace wsi {

struct WidenOptions {};
Result<bool> Widen(Graph& graph, const WidenOptions& options, PassContext& context);

}  // namespace wsi
