#include "tests/compiler/op_fixture.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace wsi {

OneNode::OneNode(std::string op, const std::vector<Operand>& operands, Attributes attributes,
                 int outputs) {
  Node node;
  node.name = "n";
  node.op = std::move(op);
  node.attributes = std::move(attributes);
  for (const Operand& operand : operands) {
    if (!operand.present) {
      node.inputs.emplace_back();
    } else if (operand.constant != nullptr) {
      node.inputs.push_back(graph_.AddConstant("c", operand.constant->Clone().value()));
    } else {
      Value value;
      value.name = "x";
      value.dtype = operand.type.dtype;
      value.shape = operand.type.shape;
      value.role = Role::kInput;
      node.inputs.push_back(graph_.AddValue(std::move(value)));
    }
  }
  node_ =
      graph_.AddNode(std::move(node), std::vector<std::string>(static_cast<size_t>(outputs), "y"));
}

Result<std::vector<TensorType>> Infer(std::string op, const std::vector<Operand>& operands,
                                      Attributes attributes, int outputs) {
  OneNode one(std::move(op), operands, std::move(attributes), outputs);
  WSI_RETURN_IF_ERROR(InferTypes(one.graph(), one.node()));
  std::vector<TensorType> types;
  for (int i = 0; i < outputs; ++i) {
    types.push_back({one.view().output(i).dtype, one.view().output(i).shape});
  }
  return types;
}

std::string InferredShape(std::string op, const std::vector<Operand>& operands,
                          Attributes attributes) {
  const auto types = Infer(std::move(op), operands, std::move(attributes));
  return types.ok() ? (*types)[0].shape.ToString() : types.status().message();
}

Result<Tensor> Fold(std::string op, const std::vector<const Tensor*>& operands,
                    Attributes attributes) {
  std::vector<Operand> typed;
  for (const Tensor* tensor : operands) typed.push_back({{}, tensor, true});
  OneNode one(std::move(op), typed, std::move(attributes));
  WSI_RETURN_IF_ERROR(InferTypes(one.graph(), one.node()));
  const OpDef* def = FindOp(one.view().op());
  if (def->fold == nullptr) return InternalError("is not folded");
  WSI_ASSIGN_OR_RETURN(std::vector<Tensor> tensors, def->fold(one.view(), operands));
  WSI_CHECK(tensors.size() == 1 && tensors[0].dtype() == one.view().output(0).dtype &&
            tensors[0].shape() == one.view().output_shape(0));
  return std::move(tensors[0]);
}

std::string FoldedInts(std::string op, const std::vector<const Tensor*>& operands,
                       Attributes attributes) {
  const Result<Tensor> tensor = Fold(std::move(op), operands, std::move(attributes));
  if (!tensor.ok()) return tensor.status().message();
  return fmt::format("{}: {}", DTypeName(tensor->dtype()), fmt::join(tensor->ToInts(), " "));
}

std::string FoldedDoubles(std::string op, const std::vector<const Tensor*>& operands,
                          Attributes attributes) {
  const Result<Tensor> tensor = Fold(std::move(op), operands, std::move(attributes));
  if (!tensor.ok()) return tensor.status().message();
  return fmt::format("{}: {}", DTypeName(tensor->dtype()), fmt::join(tensor->ToDoubles(), " "));
}

}  // namespace wsi
