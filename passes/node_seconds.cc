#include "passes/node_seconds.h"

#include "compiler/ops/op_def.h"
#include "runtime/timing/launch_time.h"

namespace wsi {

double NodeSeconds(const Graph& graph, NodeId node, const plan::Rates& rates) {
  const OpView view(graph, node);
  const OpDef* def = FindOp(view.op());
  if (def->is_view || def->lowers_to != LowersTo::kLaunch) return 0;
  DType type = DType::kF32;
  if (view.input_count() > 0 && view.HasInput(0)) {
    type = view.input(0).dtype;
  } else if (view.output_count() > 0 && view.HasOutput(0)) {
    type = view.output(0).dtype;
  }
  const Cost cost = def->cost(view);
  const bool is_matrix = def->is_matrix && !cost.vector_only;
  return LaunchSeconds(rates, view.op(), is_matrix, type, cost.flops, cost.bytes);
}

}  // namespace wsi
