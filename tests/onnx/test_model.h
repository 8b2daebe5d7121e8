// Small ONNX models for tests, put together with ONNX's own classes.
#pragma once

#include <onnx/onnx_pb.h>

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "frontends/onnx/import.h"

namespace wsi {

// An attribute under construction: A("axis", 1), A("pads", {1, 1}), A("alpha", 0.5F).
onnx::AttributeProto A(std::string_view name, int64_t value);
onnx::AttributeProto A(std::string_view name, int value);
onnx::AttributeProto A(std::string_view name, float value);
onnx::AttributeProto A(std::string_view name, std::string_view value);
onnx::AttributeProto A(std::string_view name, const char* value);
onnx::AttributeProto A(std::string_view name, std::initializer_list<int64_t> values);
onnx::AttributeProto A(std::string_view name, const onnx::TensorProto& value);
onnx::AttributeProto FloatList(std::string_view name, std::initializer_list<float> values);

// A tensor with its values in a typed field.
onnx::TensorProto Floats(std::initializer_list<int64_t> dims, std::vector<float> values,
                         std::string_view name = "");
onnx::TensorProto Ints(std::initializer_list<int64_t> dims, std::vector<int64_t> values,
                       std::string_view name = "");
// Zeros.
onnx::TensorProto Zeros(std::initializer_list<int64_t> dims, std::string_view name);

class TestModel {
 public:
  explicit TestModel(int64_t opset);

  onnx::ModelProto& proto() { return model_; }
  onnx::GraphProto& graph() { return *model_.mutable_graph(); }
  // A size below zero is a symbol "s<axis>".
  TestModel& Input(std::string_view name, std::initializer_list<int64_t> sizes,
                   int type = onnx::TensorProto::FLOAT);
  TestModel& Initializer(const onnx::TensorProto& tensor);
  TestModel& Constant(std::string_view name, const onnx::TensorProto& tensor);
  TestModel& Node(std::string_view op, std::initializer_list<std::string> inputs,
                  std::initializer_list<std::string> outputs,
                  std::initializer_list<onnx::AttributeProto> attributes = {});
  TestModel& Output(std::string_view name);

  void Save(const std::string& path) const;

 private:
  onnx::ModelProto model_;
};

// Imports the model and gives the printed graph's nodes, each as
// "out = Op(inputs) {attributes}" on a line, or the error's message after "error: ".
// The whole graph has passed VerifyGraph.
std::string ImportNodes(const TestModel& model, const ImportOptions& options = {});

}  // namespace wsi
