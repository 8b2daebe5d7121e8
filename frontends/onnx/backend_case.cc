#include "frontends/onnx/backend_case.h"

#include <algorithm>
#include <set>

#include "frontends/onnx/external_data.h"
#include "frontends/onnx/graph_importer.h"
#include "frontends/onnx/model_file.h"
#include "frontends/onnx/onnx_proto.h"
#include "frontends/onnx/printable.h"
#include "frontends/onnx/tensor_proto.h"

namespace wsi {
namespace {

InterfaceValue Describe(const onnx::ValueInfoProto& value) {
  const onnx::TypeProto& type = value.type();
  const bool tensors =
      type.has_sequence_type() && type.sequence_type().elem_type().has_tensor_type();
  return {value.name(), type.has_tensor_type(), tensors};
}

}  // namespace

Result<ModelInterface> ReadModelInterface(const std::string& path) {
  WSI_ASSIGN_OR_RETURN(const ModelPtr model, ReadModelFile(path));
  const onnx::GraphProto& graph = model->graph();
  ModelInterface interface;
  std::set<std::string> initializers;
  for (const onnx::TensorProto& tensor : graph.initializer()) initializers.insert(tensor.name());
  for (const onnx::ValueInfoProto& input : graph.input()) {
    if (initializers.contains(input.name())) continue;
    interface.inputs.push_back(Describe(input));
  }
  for (const onnx::ValueInfoProto& output : graph.output()) {
    interface.outputs.push_back(Describe(output));
  }
  for (const onnx::OperatorSetIdProto& set : model->opset_import()) {
    if (IsOnnxDomain(set.domain())) interface.opset = set.version();
  }
  std::set<std::string> ops;
  for (const onnx::NodeProto& node : graph.node()) ops.insert(Printable(node.op_type()));
  interface.ops.assign(ops.begin(), ops.end());
  return interface;
}

Result<Tensor> ReadTensorFile(const std::string& path) {
  WSI_ASSIGN_OR_RETURN(const TensorProtoPtr proto, ReadTensorProtoFile(path));
  ExternalData external(FolderOf(path));
  Result<Tensor> tensor = TakeTensor(*proto, external);
  if (!tensor.ok()) return tensor.status().WithContext(Printable(path));
  return tensor;
}

namespace {

Result<std::vector<Tensor>> Unstacked(const Tensor& stack) {
  const Shape& shape = stack.shape();
  if (shape.rank() == 0) return InvalidInput("holds a scalar, no sequence");
  WSI_ASSIGN_OR_RETURN(const Shape part, Shape::Make(shape.sizes().subspan(1)));
  const auto bytes = static_cast<size_t>(part.ByteCount(stack.dtype()));
  std::vector<Tensor> tensors;
  for (int64_t i = 0; i < shape[0]; ++i) {
    WSI_ASSIGN_OR_RETURN(Tensor tensor, Tensor::Make(stack.dtype(), part));
    std::ranges::copy(stack.bytes().subspan(static_cast<size_t>(i) * bytes, bytes),
                      tensor.bytes().begin());
    tensors.push_back(std::move(tensor));
  }
  return tensors;
}

}  // namespace

Result<std::vector<Tensor>> ReadSequenceFile(const std::string& path) {
  WSI_ASSIGN_OR_RETURN(const SequenceProtoPtr proto, ReadSequenceProtoFile(path));
  if (!proto->unknown_fields().empty()) {  // Those of a TensorProto.
    WSI_ASSIGN_OR_RETURN(const Tensor stack, ReadTensorFile(path));
    return Unstacked(stack);
  }
  ExternalData external(FolderOf(path));
  std::vector<Tensor> tensors;
  for (onnx::TensorProto& element : *proto->mutable_tensor_values()) {
    Result<Tensor> tensor = TakeTensor(element, external);
    if (!tensor.ok()) return tensor.status().WithContext(Printable(path));
    tensors.push_back(std::move(tensor).value());
  }
  return tensors;
}

}  // namespace wsi
