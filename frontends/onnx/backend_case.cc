#include "frontends/onnx/backend_case.h"

#include <set>

#include "frontends/onnx/external_data.h"
#include "frontends/onnx/graph_importer.h"
#include "frontends/onnx/model_file.h"
#include "frontends/onnx/onnx_proto.h"
#include "frontends/onnx/printable.h"
#include "frontends/onnx/tensor_proto.h"

namespace wsi {

Result<ModelInterface> ReadModelInterface(const std::string& path) {
  WSI_ASSIGN_OR_RETURN(const ModelPtr model, ReadModelFile(path));
  const onnx::GraphProto& graph = model->graph();
  ModelInterface interface;
  std::set<std::string> initializers;
  for (const onnx::TensorProto& tensor : graph.initializer()) initializers.insert(tensor.name());
  for (const onnx::ValueInfoProto& input : graph.input()) {
    if (initializers.contains(input.name())) continue;
    interface.inputs.push_back({input.name(), input.type().has_tensor_type()});
  }
  for (const onnx::ValueInfoProto& output : graph.output()) {
    interface.outputs.push_back({output.name(), output.type().has_tensor_type()});
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

}  // namespace wsi
