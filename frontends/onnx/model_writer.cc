#include "frontends/onnx/model_writer.h"

#include <type_traits>
#include <utility>

#include "frontends/onnx/model_output.h"
#include "frontends/onnx/onnx_proto.h"
#include "frontends/onnx/tensor_proto.h"

namespace wsi {

struct ModelWriter::Impl {
  onnx::ModelProto model;
};

namespace {

void Describe(onnx::ValueInfoProto& info, std::string_view name, DType dtype,
              const std::vector<AxisSize>& sizes) {
  info.set_name(std::string(name));
  onnx::TypeProto::Tensor& type = *info.mutable_type()->mutable_tensor_type();
  type.set_elem_type(DTypeToOnnx(dtype));
  type.mutable_shape();
  for (const AxisSize& size : sizes) {
    onnx::TensorShapeProto::Dimension& dim = *type.mutable_shape()->add_dim();
    if (const auto* number = std::get_if<int64_t>(&size); number != nullptr) {
      dim.set_dim_value(*number);
    } else {
      dim.set_dim_param(std::get<std::string>(size));
    }
  }
}

void SetAttribute(onnx::AttributeProto& proto, const AttributeValue& attribute) {
  std::visit(
      [&](const auto& value) {
        using T = std::decay_t<decltype(value)>;
        if constexpr (std::is_same_v<T, int64_t>) {
          proto.set_type(onnx::AttributeProto::INT);
          proto.set_i(value);
        } else if constexpr (std::is_same_v<T, double>) {
          proto.set_type(onnx::AttributeProto::FLOAT);
          proto.set_f(static_cast<float>(value));
        } else if constexpr (std::is_same_v<T, std::string>) {
          proto.set_type(onnx::AttributeProto::STRING);
          proto.set_s(value);
        } else if constexpr (std::is_same_v<T, std::vector<int64_t>>) {
          proto.set_type(onnx::AttributeProto::INTS);
          for (const int64_t entry : value) proto.add_ints(entry);
        } else {
          proto.set_type(onnx::AttributeProto::FLOATS);
          for (const double entry : value) proto.add_floats(static_cast<float>(entry));
        }
      },
      attribute);
}

}  // namespace

ModelWriter::ModelWriter(std::string_view graph_name, int64_t opset, int64_t ir_version)
    : impl_(std::make_unique<Impl>()) {
  impl_->model.set_ir_version(ir_version);
  impl_->model.set_producer_name("wsi-model");
  impl_->model.set_producer_version(WSI_VERSION);
  impl_->model.add_opset_import()->set_version(opset);
  impl_->model.mutable_graph()->set_name(std::string(graph_name));
}
ModelWriter::ModelWriter(ModelWriter&& other) noexcept = default;
ModelWriter& ModelWriter::operator=(ModelWriter&& other) noexcept = default;
ModelWriter::~ModelWriter() = default;

void ModelWriter::AddInput(std::string_view name, DType dtype, const std::vector<AxisSize>& sizes) {
  Describe(*impl_->model.mutable_graph()->add_input(), name, dtype, sizes);
}

void ModelWriter::AddOutput(std::string_view name, DType dtype,
                            const std::vector<AxisSize>& sizes) {
  Describe(*impl_->model.mutable_graph()->add_output(), name, dtype, sizes);
}

void ModelWriter::AddInitializer(std::string_view name, const Tensor& tensor) {
  onnx::TensorProto& proto = *impl_->model.mutable_graph()->add_initializer();
  proto.set_name(std::string(name));
  proto.set_data_type(DTypeToOnnx(tensor.dtype()));
  for (const int64_t size : tensor.shape()) proto.add_dims(size);
  proto.set_raw_data(tensor.bytes().data(), tensor.bytes().size());
}

void ModelWriter::AddNode(std::string_view op, std::string_view name,
                          const std::vector<std::string>& inputs,
                          const std::vector<std::string>& outputs, const Attributes& attributes) {
  onnx::NodeProto& node = *impl_->model.mutable_graph()->add_node();
  node.set_op_type(std::string(op));
  node.set_name(std::string(name));
  for (const std::string& input : inputs) node.add_input(input);
  for (const std::string& output : outputs) node.add_output(output);
  for (const auto& [key, value] : attributes.entries()) {
    onnx::AttributeProto& attribute = *node.add_attribute();
    attribute.set_name(key);
    SetAttribute(attribute, value);
  }
}

Status ModelWriter::Write(const std::string& path, OutputOptions options) const {
  return WriteModelFile(impl_->model, path, options);
}

}  // namespace wsi
