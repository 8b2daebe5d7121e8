// What ModelWriter writes, the importer reads back.
#include <gtest/gtest.h>

#include <fstream>

#include "frontends/onnx/model_writer.h"
#include "tests/base/temp_folder.h"
#include "tests/onnx/test_model.h"

namespace wsi {
namespace {

TEST(ModelWriter, EveryKindOfAttributeAndSize) {
  ModelWriter writer("tiny", 21, 10);
  writer.AddInput("x", DType::kF16, {"N", int64_t{3}});
  writer.AddOutput("y", DType::kF16, {"N", int64_t{3}});
  writer.AddInitializer("w", Tensor::Of<int64_t>({2}, std::vector<int64_t>{4, 5}));
  writer.AddNode("Op", "node", {"x", "", "w"}, {"y"},
                 {{"a", int64_t{1}},
                  {"b", 2.5},
                  {"c", std::string("text")},
                  {"d", std::vector<int64_t>{3, 4}},
                  {"e", std::vector<double>{0.5}}});
  const TempFolder folder;
  ASSERT_TRUE(writer.Write(folder.Path("m.onnx"), {}).ok());
  EXPECT_EQ(writer.Write(folder.Path("m.onnx"), {}).code(), ErrorCode::kUsage);

  onnx::ModelProto model;
  std::ifstream file(folder.Path("m.onnx"), std::ios::binary);
  ASSERT_TRUE(model.ParseFromIstream(&file));
  EXPECT_EQ(model.ir_version(), 10);
  EXPECT_EQ(model.opset_import(0).version(), 21);
  const auto& type = model.graph().input(0).type().tensor_type();
  EXPECT_EQ(type.elem_type(), onnx::TensorProto::FLOAT16);
  EXPECT_EQ(type.shape().dim(0).dim_param(), "N");
  EXPECT_EQ(type.shape().dim(1).dim_value(), 3);
  EXPECT_EQ(model.graph().initializer(0).raw_data().size(), 16U);
  const onnx::NodeProto& node = model.graph().node(0);
  EXPECT_EQ(node.input(1), "");
  EXPECT_EQ(node.attribute(0).i(), 1);
  EXPECT_EQ(node.attribute(1).f(), 2.5F);
  EXPECT_EQ(node.attribute(2).s(), "text");
  EXPECT_EQ(node.attribute(3).ints(1), 4);
  EXPECT_EQ(node.attribute(4).floats(0), 0.5F);
}

}  // namespace
}  // namespace wsi
