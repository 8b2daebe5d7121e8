#include "passes/scalar_inputs.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace wsi {

Result<ValueId> FindOrAddScalar(Graph& graph, const std::string& name, DType dtype) {
  const ValueId found = graph.FindValue(name);
  if (!found.valid()) {
    Value scalar;
    scalar.name = name;
    scalar.dtype = dtype;
    scalar.role = Role::kScalar;
    return graph.AddValue(std::move(scalar));
  }
  const Value& value = graph.value(found);
  if (value.role == Role::kScalar && value.dtype == dtype) return found;
  // A computed value is named for people only and gives way.
  if (value.role == Role::kIntermediate &&
      std::find(graph.outputs.begin(), graph.outputs.end(), found) == graph.outputs.end()) {
    graph.RenameValue(found, name + ".model");
    return FindOrAddScalar(graph, name, dtype);
  }
  return InvalidInput(fmt::format(
      "the model calls one of its inputs, outputs or weights '{}', which is the name of the {} "
      "scalar that a training step reads; rename it in the model",
      name, DTypeName(dtype)));
}

}  // namespace wsi
