#include "models/models.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <iterator>
#include <numeric>

#include "frontends/onnx/import.h"
#include "tests/base/temp_folder.h"

namespace wsi {
namespace {

int64_t Parameters(std::string_view name, ModelOptions options = {}) {
  const auto model = BuildModel(name, options);
  EXPECT_TRUE(model.ok()) << model.status().message();
  return model.ok() ? model->parameters : 0;
}

ModelOptions WithNorm(ModelNorm norm) {
  ModelOptions options;
  options.norm = norm;
  return options;
}

TEST(Models, ParameterCountsAreTorchvisions) {
  EXPECT_EQ(Parameters("resnet18"), 11'689'512);
  EXPECT_EQ(Parameters("resnet34"), 21'797'672);
  EXPECT_EQ(Parameters("resnet50"), 25'557'032);
  EXPECT_EQ(Parameters("resnet101"), 44'549'160);
  EXPECT_EQ(Parameters("resnet152"), 60'192'808);
  EXPECT_EQ(Parameters("densenet121"), 7'978'856);
  EXPECT_EQ(Parameters("mobilenet_v2"), 3'504'872);
}

TEST(Models, ParameterCountOfVgg16) { EXPECT_EQ(Parameters("vgg16"), 138'357'544); }

struct Imported {
  TensorStore tensors;
  Result<Graph> graph = InternalError("not imported");
};

void Import(std::string_view name, const ModelOptions& options, Imported& imported) {
  const TempFolder folder;
  const auto model = BuildModel(name, options);
  ASSERT_TRUE(model.ok()) << model.status().message();
  ASSERT_TRUE(model->writer.Write(folder.Path("m.onnx"), {}).ok());
  ImportOptions sized;
  sized.input_size = {64, 96};
  imported.graph = ImportOnnx(folder.Path("m.onnx"), sized, &imported.tensors);
  ASSERT_TRUE(imported.graph.ok()) << imported.graph.status().message();
}

int CountOp(const Graph& graph, std::string_view op) {
  int count = 0;
  for (const NodeId id : graph.order()) count += graph.node(id).op == op ? 1 : 0;
  return count;
}

TEST(Models, EveryNormOfEveryNetworkImports) {
  for (const ModelNorm norm : {ModelNorm::kBatch, ModelNorm::kFrozen, ModelNorm::kGroup,
                               ModelNorm::kNone, ModelNorm::kFixup}) {
    for (const char* name : {"resnet18", "densenet121", "mobilenet_v2"}) {
      ModelOptions options = WithNorm(norm);
      options.classes = 4;
      if (norm == ModelNorm::kFixup && !std::string_view(name).starts_with("resnet")) {
        EXPECT_EQ(BuildModel(name, options).status().code(), ErrorCode::kUsage);
        continue;
      }
      Imported imported;
      Import(name, options, imported);
      const Graph& graph = *imported.graph;
      EXPECT_EQ(graph.value(graph.outputs.at(0)).shape, (Shape{1, 4})) << name;
      const bool batch = norm == ModelNorm::kBatch || norm == ModelNorm::kFrozen;
      EXPECT_EQ(CountOp(graph, "BatchNormalization") > 0, batch) << name;
      EXPECT_EQ(CountOp(graph, "GroupNormalization") > 0, norm == ModelNorm::kGroup) << name;
    }
  }
}

TEST(Models, NormOfTheNodesSaysWhatTheyDo) {
  for (const bool frozen : {false, true}) {
    Imported imported;
    Import("resnet18", WithNorm(frozen ? ModelNorm::kFrozen : ModelNorm::kBatch), imported);
    for (const NodeId id : imported.graph->order()) {
      const Node& node = imported.graph->node(id);
      if (node.op != "BatchNormalization") continue;
      EXPECT_EQ(node.attributes.Int("training_mode", -1), frozen ? 0 : 1);
    }
  }
}

double Deviation(const Tensor& tensor) {
  double square = 0;
  for (const double v : tensor.ToDoubles()) square += v * v;
  return std::sqrt(square / static_cast<double>(tensor.shape().ElementCount()));
}

TEST(Models, HeInitialisation) {
  Imported imported;
  Import("resnet18", {}, imported);
  const auto deviation = [&](std::string_view name) {
    return Deviation(*imported.tensors.Find(name));
  };
  EXPECT_NEAR(deviation("conv1.weight"), std::sqrt(2.0 / (64 * 49)), 5e-4);
  EXPECT_NEAR(deviation("layer4.1.conv2.weight"), std::sqrt(2.0 / (512 * 9)), 1e-4);
  EXPECT_NEAR(deviation("fc.weight"), 1 / std::sqrt(3.0 * 512), 1e-4);
  EXPECT_EQ(deviation("layer1.0.bn2.weight"), 1);
  EXPECT_EQ(deviation("layer1.0.bn2.bias"), 0);
}

// L = 16 branches of m = 3 layers: 16^(-1/4) is a half.
TEST(Models, FixupInitialisation) {
  Imported imported;
  Import("resnet50", WithNorm(ModelNorm::kFixup), imported);
  const auto deviation = [&](std::string_view name) {
    return Deviation(*imported.tensors.Find(name));
  };
  EXPECT_NEAR(deviation("layer2.1.conv2.weight"), 0.5 * std::sqrt(2.0 / (128 * 9)), 2e-4);
  EXPECT_EQ(deviation("layer2.1.conv3.weight"), 0);
  EXPECT_NEAR(deviation("layer2.0.downsample.weight"), std::sqrt(2.0 / 512), 2e-4);
  EXPECT_EQ(deviation("layer2.1.scale"), 1);
  EXPECT_EQ(deviation("layer2.1.bias3b"), 0);
  EXPECT_EQ(deviation("fc.weight"), 0);
  EXPECT_EQ(CountOp(*imported.graph, "Mul"), 16);
}

TEST(Models, GroupsDivideTheChannels) {
  Imported imported;
  Import("mobilenet_v2", WithNorm(ModelNorm::kGroup), imported);
  for (const NodeId id : imported.graph->order()) {
    const Node& node = imported.graph->node(id);
    if (node.op != "GroupNormalization") continue;
    const int64_t channels = imported.graph->value(node.inputs[0]).shape[1];
    EXPECT_EQ(node.attributes.Int("num_groups", 0), std::gcd(int64_t{32}, channels));
  }
}

std::string Bytes(uint64_t seed) {
  const TempFolder folder;
  ModelOptions options;
  options.seed = seed;
  options.classes = 2;
  const auto model = BuildModel("mobilenet_v2", options);
  EXPECT_TRUE(model.ok() && model->writer.Write(folder.Path("m.onnx"), {}).ok());
  std::ifstream file(folder.Path("m.onnx"), std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(Models, SameSeedSameBytes) {
  EXPECT_EQ(Bytes(1), Bytes(1));
  EXPECT_NE(Bytes(1), Bytes(2));
}

TEST(Models, BadOptionsAreUsageErrors) {
  using testing::HasSubstr;
  const auto message = [](std::string_view name, const ModelOptions& options) {
    const auto model = BuildModel(name, options);
    EXPECT_EQ(model.status().code(), ErrorCode::kUsage);
    return model.status().message();
  };
  ModelOptions options;
  EXPECT_THAT(message("resnet19", options), HasSubstr("no resnet 'resnet19'"));
  EXPECT_THAT(message("alexnet", options), HasSubstr("there are resnet18 resnet34"));
  options.input_size = {500, 224};
  EXPECT_THAT(message("vgg16", options), HasSubstr("must be multiples of 224"));
  options.classes = 0;
  EXPECT_THAT(message("resnet18", options), HasSubstr("--classes 0"));
  EXPECT_EQ(ParseModelNorm("layer").status().code(), ErrorCode::kUsage);
}

}  // namespace
}  // namespace wsi
