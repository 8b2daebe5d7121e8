#include "passes/widen.h"

#include <string>
#include <string_view>
#include <utility>

#include "compiler/ops/op_def.h"
#include "passes/shared_tensors.h"

namespace wsi {
namespace {

bool IsNarrower(DType dtype, DType to) {
  return IsFloat(dtype) && DTypeBytes(dtype) < DTypeBytes(to);
}

// The attributes that name a result's type: Cast's and those of operators that fill.
Result<bool> WidenAttributes(Attributes& attributes, DType to) {
  bool changed = false;
  for (const std::string_view name : {"to", "dtype"}) {
    if (!attributes.Has(name)) continue;
    WSI_ASSIGN_OR_RETURN(const DType dtype, ParseDType(attributes.String(name, "")));
    if (!IsNarrower(dtype, to)) continue;
    attributes.Set(name, std::string(DTypeName(to)));
    changed = true;
  }
  return changed;
}

Status WidenConstant(Graph& graph, Value& value, DType to) {
  const Tensor* tensor = graph.tensors().Find(value.tensor);
  if (tensor == nullptr) return {};
  WSI_ASSIGN_OR_RETURN(Tensor wide, tensor->Cast(to));
  const std::string name = value.tensor + "." + std::string(DTypeName(to));
  value.tensor = StoreShared(graph.tensors(), name, std::move(wide));
  return {};
}

}  // namespace

bool HasHalves(const Graph& graph) {
  for (int32_t i = 0; i < graph.value_count(); ++i) {
    if (IsNarrower(graph.value(ValueId{i}).dtype, DType::kF32)) return true;
  }
  return false;
}

Result<bool> Widen(Graph& graph, const WidenOptions& options, PassContext&) {
  bool changed = false;
  for (int32_t i = 0; i < graph.value_count(); ++i) {
    Value& value = graph.value(ValueId{i});
    if (value.role == Role::kIntermediate || !IsNarrower(value.dtype, options.to)) continue;
    value.dtype = options.to;
    if (value.role == Role::kConstant) {
      WSI_RETURN_IF_ERROR(WidenConstant(graph, value, options.to));
    }
    changed = true;
  }
  for (const NodeId id : graph.order()) {
    WSI_ASSIGN_OR_RETURN(const bool widened,
                         WidenAttributes(graph.node(id).attributes, options.to));
    changed |= widened;
  }
  if (!changed) return false;
  for (const NodeId id : graph.order()) WSI_RETURN_IF_ERROR(InferTypes(graph, id));
  return true;
}

}  // namespace wsi
