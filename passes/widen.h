// Widen: floating-point values become f64, for the reference device; or those of half
// precision f32, which is what a model that was exported in half precision is computed in
// unless --precision says otherwise.
//
// Inputs and computed values change type; weights keep their stored tensors and are
// widened when the plan is written; constants get wide tensors, so that folding them is
// exact to that type too.
// Requires: an imported graph.
#pragma once

#include "compiler/ir/graph.h"
#include "compiler/pass/pass_context.h"
#include "runtime/base/status.h"

namespace wsi {

struct WidenOptions {
  DType to = DType::kF64;  // Or kF32, which leaves f64 as it is.
};
Result<bool> Widen(Graph& graph, const WidenOptions& options, PassContext& context);

// Whether any value is of half precision.
bool HasHalves(const Graph& graph);

}  // namespace wsi
