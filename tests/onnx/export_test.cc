// Trained weights go back into the model, and nothing else of it changes.
#include "frontends/onnx/export.h"

#include <gmock/gmock.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/base/temp_folder.h"
#include "tests/onnx/test_model.h"

namespace wsi {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

onnx::ModelProto Load(const std::string& path) {
  onnx::ModelProto model;
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(model.ParseFromIstream(&file)) << path;
  return model;
}

Tensor Pair(float a, float b) { return Tensor::Of<float>({2}, std::vector<float>{a, b}); }

class ExportTest : public testing::Test {
 protected:
  ExportTest() : model_(15) {
    std::filesystem::create_directory(folder_.Path("in"));
    std::filesystem::create_directory(folder_.Path("out"));
    model_.Input("x", {2}).Output("y").Initializer(Floats({2}, {1, 2}, "w"));
    model_.Initializer(Floats({2}, {3, 4}, "v")).Node("Add", {"x", "w"}, {"a"});
    model_.Node("Mul", {"a", "v"}, {"y"});
    model_.proto().set_doc_string("kept");
    // A field that this version of ONNX's classes does not know: kept as well.
    model_.proto().GetReflection()->MutableUnknownFields(&model_.proto())->AddVarint(999, 7);
  }

  Result<ExportReport> Export(const WeightMap& weights, bool force = false) {
    model_.Save(in_);
    return ExportOnnx(in_, weights, out_, {.force = force});
  }

  TempFolder folder_;
  TestModel model_;
  std::string in_ = folder_.Path("in/m.onnx");
  std::string out_ = folder_.Path("out/m.onnx");
};

TEST_F(ExportTest, RoundTripChangesTheNamedWeightsOnly) {
  WeightMap weights;
  weights.emplace("w", Pair(5, 6));
  weights.emplace("bn.num_batches_tracked", Tensor::Of<int64_t>(Shape(), std::vector<int64_t>{1}));
  const auto report = Export(weights);
  ASSERT_TRUE(report.ok()) << report.status().message();
  EXPECT_EQ(report->replaced, 1);
  EXPECT_THAT(report->kept, ElementsAre("v"));

  onnx::ModelProto expected = Load(in_);
  const float values[] = {5, 6};
  onnx::TensorProto& w = *expected.mutable_graph()->mutable_initializer(0);
  w.clear_float_data();
  w.set_raw_data(values, sizeof(values));
  EXPECT_EQ(Load(out_).SerializeAsString(), expected.SerializeAsString());

  TensorStore tensors;
  ASSERT_TRUE(ImportOnnx(out_, {}, &tensors).ok());
  EXPECT_EQ(tensors.Find("w")->ToDoubles(), (std::vector<double>{5, 6}));
  EXPECT_EQ(tensors.Find("v")->ToDoubles(), (std::vector<double>{3, 4}));
}

TEST_F(ExportTest, KeepsTheModelsElementType) {
  model_.graph().mutable_initializer(0)->set_data_type(onnx::TensorProto::FLOAT16);
  model_.graph().mutable_initializer(0)->clear_float_data();
  model_.graph().mutable_initializer(0)->set_raw_data(std::string(4, '\0'));
  WeightMap weights;
  weights.emplace("w", Tensor::Of<double>({2}, std::vector<double>{0.5, -2}));
  ASSERT_TRUE(Export(weights).ok());
  EXPECT_EQ(Load(out_).graph().initializer(0).raw_data(), std::string("\x00\x38\x00\xC0", 4));
}

TEST_F(ExportTest, ListsEveryMismatch) {
  WeightMap weights;
  weights.emplace("w", Tensor::Of<float>({1}, std::vector<float>{1}));
  weights.emplace("other", Pair(1, 2));
  const auto report = Export(weights);
  ASSERT_FALSE(report.ok());
  EXPECT_EQ(report.status().code(), ErrorCode::kInvalidInput);
  EXPECT_EQ(report.status().message(),
            in_ +
                ": 2 of 2 weights do not fit the model: 'other' is no initializer of the model; "
                "'w' has shape [1], the model's [2]");
  EXPECT_FALSE(std::filesystem::exists(out_));
}

TEST_F(ExportTest, OverwritesOnlyByForce) {
  std::ofstream(out_) << "precious";
  WeightMap weights;
  weights.emplace("w", Pair(5, 6));
  EXPECT_EQ(Export(weights).status().code(), ErrorCode::kUsage);
  EXPECT_EQ(std::filesystem::file_size(out_), 8U);
  EXPECT_TRUE(Export(weights, true).ok());
  EXPECT_GT(std::filesystem::file_size(out_), 8U);
}

TEST_F(ExportTest, ExternalWeightsStayExternal) {
  const float values[] = {3, 4};
  std::ofstream(folder_.Path("in/v.bin"), std::ios::binary)
      .write(reinterpret_cast<const char*>(values), sizeof(values));
  for (int i = 0; i < 2; ++i) {
    onnx::TensorProto& tensor = *model_.graph().mutable_initializer(i);
    tensor.clear_float_data();
    tensor.set_data_location(onnx::TensorProto::EXTERNAL);
    auto* entry = tensor.add_external_data();
    entry->set_key("location");
    entry->set_value("v.bin");
  }
  WeightMap weights;
  weights.emplace("w", Pair(5, 6));
  const auto report = Export(weights);
  ASSERT_TRUE(report.ok()) << report.status().message();
  EXPECT_EQ(Load(out_).graph().initializer(0).external_data(0).value(), "m.onnx.data");
  TensorStore tensors;
  const auto graph = ImportOnnx(out_, {}, &tensors);
  ASSERT_TRUE(graph.ok()) << graph.status().message();
  EXPECT_EQ(tensors.Find("w")->ToDoubles(), (std::vector<double>{5, 6}));
  EXPECT_EQ(tensors.Find("v")->ToDoubles(), (std::vector<double>{3, 4}));
}

TEST_F(ExportTest, StatisticBehindAnIdentityGetsItsOwnInitializer) {
  model_ = TestModel(15);
  model_.Input("x", {1, 2, 3, 3}).Output("y").Initializer(Floats({2}, {1, 1}, "one"));
  model_.Node("Identity", {"one"}, {"bn.var"}).Node("Identity", {"one"}, {"bn.mean"});
  model_.Node("BatchNormalization", {"x", "one", "one", "bn.mean", "bn.var"}, {"y"});
  WeightMap weights;
  weights.emplace("one", Pair(2, 2));
  weights.emplace("bn.mean", Pair(3, 3));
  weights.emplace("bn.var", Pair(4, 4));
  const auto report = Export(weights);
  ASSERT_TRUE(report.ok()) << report.status().message();
  TensorStore tensors;
  const auto graph = ImportOnnx(out_, {}, &tensors);
  ASSERT_TRUE(graph.ok()) << graph.status().message();
  EXPECT_EQ(graph->value(graph->FindValue("bn.mean")).role, Role::kState);
  EXPECT_EQ(tensors.Find("bn.var")->ToDoubles(), (std::vector<double>{4, 4}));
}

}  // namespace
}  // namespace wsi
