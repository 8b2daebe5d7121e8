#include "passes/value_readers.h"

namespace wsi {

ValueReaders::ValueReaders(const Graph& graph)
    : uses_(ComputeUses(graph)), is_result_(static_cast<size_t>(graph.value_count()), false) {
  const auto mark = [&](ValueId id) {
    if (id.valid()) is_result_[static_cast<size_t>(id.index)] = true;
  };
  for (const ValueId output : graph.outputs) mark(output);
  mark(graph.loss);
  for (const StateUpdate& update : graph.updates) mark(update.value);
  for (const ParameterGradient& pair : graph.gradients) mark(pair.gradient);
}

}  // namespace wsi
