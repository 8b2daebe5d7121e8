#include "passes/precision_demand.h"

#include <algorithm>

#include "passes/value_readers.h"

namespace wsi {
namespace {

bool FloatOutputsOnlyFloat32(const Graph& graph, const Node& node, const PrecisionDemand& demand) {
  bool any = false;
  for (const ValueId output : node.outputs) {
    if (!output.valid() || !IsFloat(graph.value(output).dtype)) continue;
    if (!demand.OnlyFloat32(output)) return false;
    any = true;
  }
  return any;
}

}  // namespace

bool ComputesInFloat32(const Node& node, const OpDef& def) {
  return node.phase == Phase::kUpdate || def.half == HalfPolicy::kFloat32;
}

bool IsFloat32Input(const OpDef& def, size_t i) {
  return std::find(def.float32_inputs.begin(), def.float32_inputs.end(), static_cast<int>(i)) !=
         def.float32_inputs.end();
}

PrecisionDemand ComputePrecisionDemand(const Graph& graph) {
  const ValueReaders readers(graph);
  PrecisionDemand demand;
  for (int32_t i = 0; i < graph.value_count(); ++i) {
    demand.wants_float32.push_back(readers.IsResult(ValueId{i}));
    demand.wants_half.push_back(false);
  }
  for (auto at = graph.order().rbegin(); at != graph.order().rend(); ++at) {
    const Node& node = graph.node(*at);
    const OpDef& def = *FindOp(node.op);
    const bool passes_on =
        def.half != HalfPolicy::kMatrix && FloatOutputsOnlyFloat32(graph, node, demand);
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      if (!node.inputs[i].valid()) continue;
      const bool float32 = ComputesInFloat32(node, def) || IsFloat32Input(def, i) || passes_on;
      (float32 ? demand.wants_float32
               : demand.wants_half)[static_cast<size_t>(node.inputs[i].index)] = true;
    }
  }
  return demand;
}

}  // namespace wsi
