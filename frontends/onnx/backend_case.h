// What ONNX's backend test cases are made of: a model's interface, and tensors in files
// of their own.
#pragma once

#include <string>
#include <vector>

#include "runtime/base/status.h"
#include "runtime/base/tensor.h"

namespace wsi {

struct InterfaceValue {
  std::string name;
  bool is_tensor = true;
  bool is_sequence = false;  // Neither: an optional or a map.
};

struct ModelInterface {
  std::vector<InterfaceValue> inputs;  // Those without an initializer, in the model's order.
  std::vector<InterfaceValue> outputs;
  int64_t opset = 0;             // Of ONNX's own operators.
  std::vector<std::string> ops;  // Of the graph's own nodes; sorted, each once.
};
Result<ModelInterface> ReadModelInterface(const std::string& path);

// The tensor in a file that holds one TensorProto.
Result<Tensor> ReadTensorFile(const std::string& path);
// The tensors in a file that holds one SequenceProto of them, or one TensorProto that they
// are stacked in along its first axis, as some archives have them.
Result<std::vector<Tensor>> ReadSequenceFile(const std::string& path);

}  // namespace wsi
