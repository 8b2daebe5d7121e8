// One node over operands of given types, to ask its OpDef.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "compiler/ops/op_def.h"

namespace wsi {

// An operand: a graph input of a type, a constant, or absent.
struct Operand {
  TensorType type;
  const Tensor* constant = nullptr;
  bool present = true;
};

inline Operand F32(Shape shape) { return {{DType::kF32, std::move(shape)}, nullptr, true}; }
inline Operand Of(DType dtype, Shape shape) { return {{dtype, std::move(shape)}, nullptr, true}; }
inline Operand None() { return {{}, nullptr, false}; }

inline Tensor Ints(Shape shape, std::vector<int64_t> values) {
  return Tensor::Of<int64_t>(std::move(shape), values);
}
inline Tensor Floats(Shape shape, std::vector<float> values) {
  return Tensor::Of<float>(std::move(shape), values);
}

class OneNode {
 public:
  OneNode(std::string op, const std::vector<Operand>& operands, Attributes attributes = {},
          int outputs = 1);

  Graph& graph() { return graph_; }
  NodeId node() const { return node_; }
  OpView view() const { return OpView(graph_, node_); }

 private:
  TensorStore tensors_;
  Graph graph_{&tensors_};
  NodeId node_;
};

// The types that the node's `outputs` outputs get, or the error.
Result<std::vector<TensorType>> Infer(std::string op, const std::vector<Operand>& operands,
                                      Attributes attributes = {}, int outputs = 1);
// The shape of the one output as text, or the error's message.
std::string InferredShape(std::string op, const std::vector<Operand>& operands,
                          Attributes attributes = {});
// The one output, folded.
Result<Tensor> Fold(std::string op, const std::vector<const Tensor*>& operands,
                    Attributes attributes = {});
// The folded output's elements, or the error's message.
std::string FoldedInts(std::string op, const std::vector<const Tensor*>& operands,
                       Attributes attributes = {});
std::string FoldedDoubles(std::string op, const std::vector<const Tensor*>& operands,
                          Attributes attributes = {});

}  // namespace wsi
