#include "tests/onnx/test_model.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "compiler/ir/text.h"
#include "compiler/ir/verifier.h"
#include "tests/base/temp_folder.h"

namespace wsi {
namespace {

onnx::AttributeProto Named(std::string_view name, onnx::AttributeProto::AttributeType type) {
  onnx::AttributeProto attribute;
  attribute.set_name(std::string(name));
  attribute.set_type(type);
  return attribute;
}

onnx::TensorProto TensorOf(std::initializer_list<int64_t> dims, int type, std::string_view name) {
  onnx::TensorProto tensor;
  for (const int64_t size : dims) tensor.add_dims(size);
  tensor.set_data_type(type);
  if (!name.empty()) tensor.set_name(std::string(name));
  return tensor;
}

}  // namespace

onnx::AttributeProto A(std::string_view name, int64_t value) {
  onnx::AttributeProto attribute = Named(name, onnx::AttributeProto::INT);
  attribute.set_i(value);
  return attribute;
}
onnx::AttributeProto A(std::string_view name, int value) { return A(name, int64_t{value}); }
onnx::AttributeProto A(std::string_view name, float value) {
  onnx::AttributeProto attribute = Named(name, onnx::AttributeProto::FLOAT);
  attribute.set_f(value);
  return attribute;
}
onnx::AttributeProto A(std::string_view name, std::string_view value) {
  onnx::AttributeProto attribute = Named(name, onnx::AttributeProto::STRING);
  attribute.set_s(std::string(value));
  return attribute;
}
onnx::AttributeProto A(std::string_view name, const char* value) {
  return A(name, std::string_view(value));
}
onnx::AttributeProto A(std::string_view name, std::initializer_list<int64_t> values) {
  onnx::AttributeProto attribute = Named(name, onnx::AttributeProto::INTS);
  for (const int64_t value : values) attribute.add_ints(value);
  return attribute;
}
onnx::AttributeProto A(std::string_view name, const onnx::TensorProto& value) {
  onnx::AttributeProto attribute = Named(name, onnx::AttributeProto::TENSOR);
  *attribute.mutable_t() = value;
  return attribute;
}
onnx::AttributeProto FloatList(std::string_view name, std::initializer_list<float> values) {
  onnx::AttributeProto attribute = Named(name, onnx::AttributeProto::FLOATS);
  for (const float value : values) attribute.add_floats(value);
  return attribute;
}

onnx::TensorProto Floats(std::initializer_list<int64_t> dims, std::vector<float> values,
                         std::string_view name) {
  onnx::TensorProto tensor = TensorOf(dims, onnx::TensorProto::FLOAT, name);
  for (const float value : values) tensor.add_float_data(value);
  return tensor;
}
onnx::TensorProto Ints(std::initializer_list<int64_t> dims, std::vector<int64_t> values,
                       std::string_view name) {
  onnx::TensorProto tensor = TensorOf(dims, onnx::TensorProto::INT64, name);
  for (const int64_t value : values) tensor.add_int64_data(value);
  return tensor;
}
onnx::TensorProto Zeros(std::initializer_list<int64_t> dims, std::string_view name) {
  size_t count = 1;
  for (const int64_t size : dims) count *= static_cast<size_t>(size);
  return Floats(dims, std::vector<float>(count), name);
}

TestModel::TestModel(int64_t opset) {
  model_.set_ir_version(8);
  model_.add_opset_import()->set_version(opset);
  graph().set_name("test");
}

TestModel& TestModel::Input(std::string_view name, std::initializer_list<int64_t> sizes, int type) {
  onnx::ValueInfoProto& input = *graph().add_input();
  input.set_name(std::string(name));
  auto& tensor = *input.mutable_type()->mutable_tensor_type();
  tensor.set_elem_type(type);
  tensor.mutable_shape();
  for (const int64_t size : sizes) {
    auto& dim = *tensor.mutable_shape()->add_dim();
    if (size >= 0) {
      dim.set_dim_value(size);
    } else {
      dim.set_dim_param("s" + std::to_string(tensor.shape().dim_size() - 1));
    }
  }
  return *this;
}
TestModel& TestModel::Initializer(const onnx::TensorProto& tensor) {
  *graph().add_initializer() = tensor;
  return *this;
}
TestModel& TestModel::Constant(std::string_view name, const onnx::TensorProto& tensor) {
  return Node("Constant", {}, {std::string(name)}, {A("value", tensor)});
}
TestModel& TestModel::Node(std::string_view op, std::initializer_list<std::string> inputs,
                           std::initializer_list<std::string> outputs,
                           std::initializer_list<onnx::AttributeProto> attributes) {
  onnx::NodeProto& node = *graph().add_node();
  node.set_op_type(std::string(op));
  for (const std::string& input : inputs) node.add_input(input);
  for (const std::string& output : outputs) node.add_output(output);
  for (const onnx::AttributeProto& attribute : attributes) *node.add_attribute() = attribute;
  return *this;
}
TestModel& TestModel::Output(std::string_view name) {
  graph().add_output()->set_name(std::string(name));
  return *this;
}

void TestModel::Save(const std::string& path) const {
  std::ofstream file(path, std::ios::binary);
  ASSERT_TRUE(model_.SerializeToOstream(&file));
}

std::string ImportNodes(const TestModel& model, const ImportOptions& options) {
  const TempFolder folder;
  const std::string path = folder.Path("m.onnx");
  model.Save(path);
  TensorStore tensors;
  const Result<Graph> graph = ImportOnnx(path, options, &tensors);
  if (!graph.ok()) {
    EXPECT_EQ(graph.status().code(), ErrorCode::kInvalidInput);
    return "error: " + graph.status().message().substr(path.size() + 2);
  }
  const Status verified = VerifyGraph(*graph);
  EXPECT_TRUE(verified.ok()) << verified.message();
  std::istringstream text(PrintGraph(*graph));
  std::string nodes;
  for (std::string line; std::getline(text, line);) {
    const size_t phase = line.find(" forward ");
    if (phase != std::string::npos) nodes += line.substr(0, phase) + "\n";
  }
  return nodes;
}

}  // namespace wsi
