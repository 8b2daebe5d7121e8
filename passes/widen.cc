#include "passes/widen.h"

#include <string_view>
#include <utility>

#include "compiler/ops/op_def.h"
#include "passes/shared_tensors.h"

namespace wsi {
namespace {

// The attributes that name a result's type: Cast's and those of operators that fill.
Result<bool> WidenAttributes(Attributes& attributes) {
  bool changed = false;
  for (const std::string_view name : {"to", "dtype"}) {
    if (!attributes.Has(name)) continue;
    WSI_ASSIGN_OR_RETURN(const DType dtype, ParseDType(attributes.String(name, "")));
    if (!IsFloat(dtype) || dtype == DType::kF64) continue;
    attributes.Set(name, std::string(DTypeName(DType::kF64)));
    changed = true;
  }
  return changed;
}

Status WidenConstant(Graph& graph, Value& value) {
  const Tensor* tensor = graph.tensors().Find(value.tensor);
  if (tensor == nullptr) return {};
  WSI_ASSIGN_OR_RETURN(Tensor wide, tensor->Cast(DType::kF64));
  value.tensor = StoreShared(graph.tensors(), value.tensor + ".f64", std::move(wide));
  return {};
}

}  // namespace

Result<bool> Widen(Graph& graph, const WidenOptions&, PassContext&) {
  bool changed = false;
  for (int32_t i = 0; i < graph.value_count(); ++i) {
    Value& value = graph.value(ValueId{i});
    if (value.role == Role::kIntermediate || !IsFloat(value.dtype)) continue;
    if (value.dtype == DType::kF64) continue;
    value.dtype = DType::kF64;
    if (value.role == Role::kConstant) WSI_RETURN_IF_ERROR(WidenConstant(graph, value));
    changed = true;
  }
  for (const NodeId id : graph.order()) {
    WSI_ASSIGN_OR_RETURN(const bool widened, WidenAttributes(graph.node(id).attributes));
    changed |= widened;
  }
  if (!changed) return false;
  for (const NodeId id : graph.order()) WSI_RETURN_IF_ERROR(InferTypes(graph, id));
  return true;
}

}  // namespace wsi
