#include "passes/shared_tensors.h"

#include <fmt/format.h>

#include <utility>

namespace wsi {

std::string StoreShared(TensorStore& store, const std::string& base, Tensor tensor) {
  std::string key = base;
  for (int suffix = 1;; ++suffix) {
    const Tensor* found = store.Find(key);
    if (found == nullptr) {
      store.Add(key, std::move(tensor));
      return key;
    }
    if (*found == tensor) return key;
    key = fmt::format("{}.{}", base, suffix);
  }
}

ValueId AddSharedConstant(Graph& graph, const std::string& name, Tensor tensor) {
  Value value;
  value.name = name;
  value.dtype = tensor.dtype();
  value.shape = tensor.shape();
  value.role = Role::kConstant;
  value.tensor = StoreShared(graph.tensors(), name, std::move(tensor));
  return graph.AddValue(std::move(value));
}

const Tensor* KnownTensor(const Graph& graph, ValueId id) {
  const Tensor* tensor = graph.ConstantTensor(id);
  return tensor != nullptr && tensor->dtype() == graph.value(id).dtype ? tensor : nullptr;
}

}  // namespace wsi
