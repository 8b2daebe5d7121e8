#include "passes/gradient_paths.h"

#include <algorithm>

namespace wsi {

GradientPaths ComputeGradientPaths(const Graph& graph) {
  const auto count = static_cast<size_t>(graph.value_count());
  const auto any = [](const std::vector<ValueId>& ids, const std::vector<bool>& set) {
    return std::any_of(ids.begin(), ids.end(), [&](ValueId id) {
      return id.valid() && set[static_cast<size_t>(id.index)];
    });
  };
  const auto insert = [&](const std::vector<ValueId>& ids, std::vector<bool>& set) {
    for (const ValueId id : ids) {
      if (id.valid() && IsFloat(graph.value(id).dtype)) set[static_cast<size_t>(id.index)] = true;
    }
  };

  std::vector<bool> depends(count, false);
  for (size_t i = 0; i < count; ++i) {
    const Value& value = graph.value(ValueId{static_cast<int32_t>(i)});
    depends[i] = value.role == Role::kParameter && IsFloat(value.dtype);
  }
  for (const NodeId id : graph.order()) {
    const Node& node = graph.node(id);
    if (any(node.inputs, depends)) insert(node.outputs, depends);
  }
  std::vector<bool> reaches(count, false);
  insert({graph.loss}, reaches);
  for (auto at = graph.order().rbegin(); at != graph.order().rend(); ++at) {
    const Node& node = graph.node(*at);
    if (any(node.outputs, reaches)) insert(node.inputs, reaches);
  }

  GradientPaths paths;
  paths.on_path.resize(count);
  for (size_t i = 0; i < count; ++i) paths.on_path[i] = depends[i] && reaches[i];
  for (const NodeId id : graph.order()) {
    const Node& node = graph.node(id);
    if (any(node.inputs, paths.on_path) && any(node.outputs, paths.on_path)) {
      paths.nodes.push_back(id);
    }
  }
  return paths;
}

}  // namespace wsi
