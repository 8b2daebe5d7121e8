// PyTorch's two exporters: what they wrote imports whole, or the operators that are
// missing are listed. Weights are stripped from the files; zeros stand in for them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "compiler/ir/verifier.h"
#include "tests/base/temp_folder.h"
#include "tests/onnx/test_model.h"

namespace wsi {
namespace {

std::string Goldens() {
  const char* data = std::getenv("WSI_TEST_DATA");
  return std::string(data != nullptr ? data : "../shared/data") + "/goldens/";
}

class GoldenTest : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(Goldens())) GTEST_SKIP() << "no test data in " << Goldens();
  }
  // Imports NAME.FORM.onnx with its weights filled in.
  Result<Graph> Import(const std::string& form) {
    onnx::ModelProto model;
    std::ifstream file(Goldens() + GetParam() + "." + form + ".onnx", std::ios::binary);
    EXPECT_TRUE(model.ParseFromIstream(&file));
    for (onnx::TensorProto& tensor : *model.mutable_graph()->mutable_initializer()) {
      if (tensor.data_type() != onnx::TensorProto::FLOAT || tensor.has_raw_data()) continue;
      size_t bytes = sizeof(float);
      for (const int64_t size : tensor.dims()) bytes *= static_cast<size_t>(size);
      tensor.set_raw_data(std::string(bytes, '\0'));
    }
    std::ofstream(folder_.Path("m.onnx"), std::ios::binary) << model.SerializeAsString();
    return ImportOnnx(folder_.Path("m.onnx"), {}, &tensors_);
  }

  TempFolder folder_;
  TensorStore tensors_;
};

class WholeGolden : public GoldenTest {
 protected:
  // Every parameter that PyTorch has a gradient of is one, in its shape.
  void Check(const std::string& form) {
    const Result<Graph> graph = Import(form);
    ASSERT_TRUE(graph.ok()) << graph.status().message();
    const Status verified = VerifyGraph(*graph);
    EXPECT_TRUE(verified.ok()) << verified.message();
    std::ifstream file(Goldens() + GetParam() + ".json");
    const nlohmann::json golden = nlohmann::json::parse(file);
    ASSERT_FALSE(golden["grads"].empty());
    for (const auto& [name, gradient] : golden["grads"].items()) {
      const ValueId id = graph->FindValue(name);
      ASSERT_TRUE(id.valid()) << name;
      EXPECT_EQ(graph->value(id).role, Role::kParameter) << name;
      EXPECT_EQ(graph->value(id).tensor, name);
      const auto shape = gradient["shape"].get<std::vector<int64_t>>();
      EXPECT_TRUE(std::ranges::equal(graph->value(id).shape, shape)) << name;
    }
    ASSERT_EQ(graph->outputs.size(), 1U);
    const auto& logits = golden["logits"];
    EXPECT_EQ(graph->value(graph->outputs[0]).shape,
              (Shape{static_cast<int64_t>(logits.size()), static_cast<int64_t>(logits[0].size())}));
  }
};

TEST_P(WholeGolden, TorchScriptForm) { Check("ts17"); }
TEST_P(WholeGolden, DynamoForm) { Check("dy20"); }
INSTANTIATE_TEST_SUITE_P(Golden, WholeGolden,
                         testing::Values("resnet18", "vgg11_bn", "mobilenet_v2", "timm_dla34",
                                         "unet_norms", "vit_tiny"));

}  // namespace
}  // namespace wsi
