#include "passes/scalar_inputs.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace wsi {

namespace {

// Frees `name` where a computed value has it, which is named for people only.
Status GiveWay(Graph& graph, const std::string& name, std::string_view what) {
  const ValueId found = graph.FindValue(name);
  if (!found.valid()) return {};
  if (graph.value(found).role == Role::kIntermediate &&
      std::find(graph.outputs.begin(), graph.outputs.end(), found) == graph.outputs.end()) {
    graph.RenameValue(found, name + ".model");
    return {};
  }
  return InvalidInput(fmt::format(
      "the model calls one of its inputs, outputs or weights '{}', which is the name of the {}; "
      "rename it in the model",
      name, what));
}

}  // namespace

Result<ValueId> FindOrAddScalar(Graph& graph, const std::string& name, DType dtype) {
  const ValueId found = graph.FindValue(name);
  if (found.valid() && graph.value(found).role == Role::kScalar &&
      graph.value(found).dtype == dtype) {
    return found;
  }
  WSI_RETURN_IF_ERROR(
      GiveWay(graph, name, fmt::format("{} scalar that a training step reads", DTypeName(dtype))));
  Value scalar;
  scalar.name = name;
  scalar.dtype = dtype;
  scalar.role = Role::kScalar;
  return graph.AddValue(std::move(scalar));
}

Result<ValueId> AddFlagState(Graph& graph, DType dtype) {
  WSI_RETURN_IF_ERROR(
      GiveWay(graph, "gradients_finite", "state that says whether a step was skipped"));
  Value state;
  state.name = "gradients_finite";
  state.dtype = dtype;
  state.role = Role::kState;
  return graph.AddValue(std::move(state));
}

}  // namespace wsi
