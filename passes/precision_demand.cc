#include "passes/precision_demand.h"

#include <algorithm>

#include "passes/value_readers.h"

namespace wsi {
namespace {

struct Wanted {
  bool float32 = false;
  bool half = false;
};

// What is wanted of any result of `node`.
Wanted OfResults(const Node& node, const PrecisionDemand& demand) {
  Wanted wanted;
  for (const ValueId output : node.outputs) {
    if (!output.valid()) continue;
    wanted.float32 = wanted.float32 || demand.wants_float32[static_cast<size_t>(output.index)];
    wanted.half = wanted.half || demand.wants_half[static_cast<size_t>(output.index)];
  }
  return wanted;
}

// What `node` wants of its activations, given what is wanted of its results.
Wanted OfActivations(const Node& node, const OpDef& def, Wanted results) {
  if (ComputesInFloat32(node, def)) return {.float32 = true};
  if (def.half != HalfPolicy::kMatrix) {
    return {.float32 = results.float32 && !results.half, .half = results.half};
  }
  // A sum in fp32 is as good of either.
  const bool any = def.half_sum && !def.is_matrix && !results.half;
  return {.half = !any};
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
    const Wanted wanted = OfActivations(node, def, OfResults(node, demand));
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      if (!node.inputs[i].valid()) continue;
      const auto input = static_cast<size_t>(node.inputs[i].index);
      const bool float32 = wanted.float32 || IsFloat32Input(def, i);
      demand.wants_float32[input] = demand.wants_float32[input] || float32;
      demand.wants_half[input] = demand.wants_half[input] || (wanted.half && !float32);
    }
  }
  return demand;
}

}  // namespace wsi
