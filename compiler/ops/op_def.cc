#include "compiler/ops/op_def.h"

#include <fmt/format.h>

#include <algorithm>

namespace wsi {
namespace {

Status CheckArity(const OpDef& def, const OpView& view) {
  const int inputs = view.input_count();
  if (inputs < def.min_inputs || (def.max_inputs >= 0 && inputs > def.max_inputs)) {
    return InvalidInput(fmt::format("has {} inputs, wants {} to {}", inputs, def.min_inputs,
                                    def.max_inputs < 0 ? "any" : fmt::to_string(def.max_inputs)));
  }
  for (int i = 0; i < def.min_inputs; ++i) {
    if (!view.HasInput(i)) return InvalidInput(fmt::format("lacks input {}", i));
  }
  const int outputs = view.output_count();
  if (outputs < def.min_outputs || (def.max_outputs >= 0 && outputs > def.max_outputs)) {
    return InvalidInput(fmt::format("has {} outputs, gives {} to {}", outputs, def.min_outputs,
                                    def.max_outputs < 0 ? "any" : fmt::to_string(def.max_outputs)));
  }
  return {};
}

}  // namespace

bool OpView::HasInput(int i) const {
  return i >= 0 && i < input_count() && node_.inputs[static_cast<size_t>(i)].valid();
}
bool OpView::HasOutput(int i) const {
  return i >= 0 && i < output_count() && node_.outputs[static_cast<size_t>(i)].valid();
}
const Value& OpView::input(int i) const {
  WSI_CHECK(HasInput(i));
  return graph_.value(node_.inputs[static_cast<size_t>(i)]);
}
const Value& OpView::output(int i) const {
  WSI_CHECK(HasOutput(i));
  return graph_.value(node_.outputs[static_cast<size_t>(i)]);
}
const Tensor* OpView::InputConstant(int i) const {
  return HasInput(i) ? graph_.ConstantTensor(node_.inputs[static_cast<size_t>(i)]) : nullptr;
}

const OpDef* FindOp(std::string_view name) {
  const std::span<const OpDef* const> ops = AllOps();
  const auto at =
      std::lower_bound(ops.begin(), ops.end(), name,
                       [](const OpDef* op, std::string_view n) { return op->name < n; });
  return at != ops.end() && (*at)->name == name ? *at : nullptr;
}

Status InferTypes(Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  const std::string where = fmt::format("{} '{}'", node.op, node.name);
  const OpDef* def = FindOp(node.op);
  if (def == nullptr) return InvalidInput(where + ": no such operator");
  const OpView view(graph, id);
  WSI_RETURN_IF_ERROR(CheckArity(*def, view).WithContext(where));
  Result<std::vector<TensorType>> types = def->infer(view);
  if (!types.ok()) return types.status().WithContext(where);
  WSI_CHECK(types->size() >= node.outputs.size());
  for (size_t i = 0; i < node.outputs.size(); ++i) {
    if (!node.outputs[i].valid()) continue;
    Value& output = graph.value(node.outputs[i]);
    output.dtype = (*types)[i].dtype;
    output.shape = (*types)[i].shape;
  }
  return {};
}

}  // namespace wsi
