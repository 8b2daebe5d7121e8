// Convolution, pooling, normalization and dropout in the forms of each opset.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "tests/onnx/test_model.h"

namespace wsi {
namespace {

using testing::HasSubstr;

TestModel Conv(std::initializer_list<onnx::AttributeProto> attributes) {
  TestModel model(13);
  model.Input("x", {1, 4, 9, 9}).Output("y").Initializer(Zeros({8, 4, 3, 3}, "w"));
  model.Node("Conv", {"x", "w"}, {"y"}, attributes);
  return model;
}

TEST(CanonicalLayer, ConvDefaultsAreExplicit) {
  EXPECT_EQ(ImportNodes(Conv({})),
            "%y : f32[1,8,7,7] = Conv(%x, %w) {dilations=[1, 1], group=1, kernel_shape=[3, 3], "
            "pads=[0, 0, 0, 0], strides=[1, 1]}\n");
}

TEST(CanonicalLayer, AutoPadResolvesToPads) {
  EXPECT_EQ(ImportNodes(
                Conv({A("auto_pad", "SAME_UPPER"), A("strides", {2, 3}), A("dilations", {1, 2})})),
            "%y : f32[1,8,5,3] = Conv(%x, %w) {dilations=[1, 2], group=1, kernel_shape=[3, 3], "
            "pads=[1, 1, 1, 1], strides=[2, 3]}\n");
  TestModel even(13);
  even.Input("x", {1, 1, 5, 5}).Output("y");
  even.Node("MaxPool", {"x"}, {"y"}, {A("kernel_shape", {2, 2}), A("auto_pad", "SAME_LOWER")});
  EXPECT_EQ(ImportNodes(even),
            "%y : f32[1,1,5,5] = MaxPool(%x) {ceil_mode=0, dilations=[1, 1], kernel_shape=[2, 2], "
            "pads=[1, 1, 0, 0], strides=[1, 1]}\n");
}

TEST(CanonicalLayer, FloatAttributesAreTheNumbersThatWereMeant) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  for (const auto& [stored, printed] : {std::pair{1e-3F, "0.001"},
                                        {1.0F / 6, "0.16666666666666666"},
                                        {0.0F, "0.0"},
                                        {-kInfinity, "-inf"}}) {
    TestModel model(13);
    model.Input("x", {2}).Output("y").Node("LeakyRelu", {"x"}, {"y"}, {A("alpha", stored)});
    EXPECT_EQ(ImportNodes(model),
              std::string("%y : f32[2] = LeakyRelu(%x) {alpha=") + printed + "}\n");
  }
}

TEST(CanonicalLayer, Col2ImIsATransposedConvolutionWithAnEntryAChannel) {
  TestModel model(18);
  model.Input("x", {1, 8, 6}).Output("y");
  model.Constant("image", Ints({2}, {5, 5})).Constant("block", Ints({2}, {2, 2}));
  model.Node("Col2Im", {"x", "image", "block"}, {"y"},
             {A("strides", {2, 2}), A("pads", {0, 1, 0, 0})});
  EXPECT_EQ(ImportNodes(model),
            "%y/Reshape : f32[1,8,2,3] = Reshape(%x) {shape=[1, 8, 2, 3]}\n"
            "%y/ConvTranspose : f32[1,2,4,5] = ConvTranspose(%y/Reshape, %y/places) "
            "{dilations=[1, 1], group=2, kernel_shape=[2, 2], pads=[0, 1, 0, 0], strides=[2, 2]}\n"
            "%y : f32[1,2,5,5] = Pad(%y/ConvTranspose) {pads=[0, 0, 0, 0, 0, 0, 1, 0], "
            "value=0.0}\n");
}

TEST(CanonicalLayer, HostileColumns) {
  const auto columns = [](const std::vector<int64_t>& image, const std::vector<int64_t>& block,
                          std::initializer_list<onnx::AttributeProto> attributes = {}) {
    TestModel model(18);
    model.Input("x", {1, 8, 6}).Output("y");
    model.Constant("image", Ints({static_cast<int64_t>(image.size())}, image));
    model.Constant("block", Ints({static_cast<int64_t>(block.size())}, block));
    model.Node("Col2Im", {"x", "image", "block"}, {"y"}, attributes);
    return ImportNodes(model);
  };
  const std::string error = "error: 1 problem: Col2Im 'y': ";
  EXPECT_EQ(columns({3, 3}, {2, 2}),
            error +
                "input is [1,8,6]; needed is [N, channels x 4 entries of a block, 4 positions "
                "of it]");
  EXPECT_EQ(columns({3, 4}, {2}), error +
                                      "image_shape has 2 entries, block_shape 1; allowed are "
                                      "1 to 3, as many in each");
  EXPECT_EQ(columns({3, 4}, {2, 0}), error +
                                         "axis 1 has size 4 in image_shape and 0 in "
                                         "block_shape; allowed are 1 to 2147483647");
  EXPECT_EQ(columns({3, 4}, {2, 3}, {A("dilations", {1, 2})}),
            error + "a block of 3 with dilation 2 does not fit the padded image's 4 on axis 1");
  EXPECT_EQ(columns({3, 4}, {2, 2}, {A("strides", {0, 1})}),
            error + "strides has a 0; allowed are 1 to 2147483647");
}

TEST(CanonicalLayer, HostileConvolutions) {
  const std::string error = "error: 1 problem: Conv 'y': ";
  EXPECT_EQ(ImportNodes(Conv({A("strides", {0, 1})})),
            error + "strides has a 0; allowed are 1 to 2147483647");
  EXPECT_EQ(ImportNodes(Conv({A("dilations", {int64_t{1} << 31, 1})})),
            error + "dilations has a 2147483648; allowed are 1 to 2147483647");
  EXPECT_EQ(ImportNodes(Conv({A("kernel_shape", {5, 5})})),
            error + "kernel_shape differs from the weight's [8,4,3,3]");
  EXPECT_EQ(ImportNodes(Conv({A("pads", {1})})), error + "pads has 1 entries, 4 are needed");
  EXPECT_EQ(ImportNodes(Conv({A("auto_pad", "OTHER")})),
            error + "auto_pad is none of NOTSET, VALID, SAME_UPPER, SAME_LOWER");
  for (const int64_t group : {0, 3, -1}) {
    EXPECT_TRUE(ImportNodes(Conv({A("group", group)})).starts_with(error)) << group;
  }
  EXPECT_TRUE(ImportNodes(Conv({A("dilations", {9, 9})})).starts_with(error));
}

TEST(CanonicalLayer, PoolingAttributesAreExplicit) {
  TestModel model(19);
  model.Input("x", {1, 2, 6, 6}).Output("y");
  model.Node("AveragePool", {"x"}, {"y"}, {A("kernel_shape", {2, 2}), A("strides", {2, 2})});
  EXPECT_EQ(ImportNodes(model),
            "%y : f32[1,2,3,3] = AveragePool(%x) {ceil_mode=0, count_include_pad=0, dilations=[1, "
            "1], kernel_shape=[2, 2], pads=[0, 0, 0, 0], strides=[2, 2]}\n");
}

TEST(CanonicalLayer, MaxPoolIndicesComeFromThePositionsInTheWindows) {
  TestModel model(12);
  model.Input("x", {1, 2, 6, 6}).Output("y");
  model.Node("MaxPool", {"x"}, {"y", "index"}, {A("kernel_shape", {2, 3})});
  EXPECT_EQ(ImportNodes(model),
            "%y : f32[1,2,5,4] = MaxPool(%x) {ceil_mode=0, dilations=[1, 1], kernel_shape=[2, 3], "
            "pads=[0, 0, 0, 0], strides=[1, 1]}\n");
  model.Output("index");
  const std::string nodes = ImportNodes(model);
  EXPECT_THAT(nodes, HasSubstr("= MaxPool(%x)"));
  EXPECT_THAT(nodes, HasSubstr(" : i64[1,2,5,4] = Mod("));
  EXPECT_THAT(nodes, HasSubstr("%index : i64[1,2,5,4] = "));
  TestModel odd(12);
  odd.Input("x", {1, 2, 6, 6}).Output("y");
  odd.Node("MaxPool", {"x"}, {"y"}, {A("kernel_shape", {2, 3}), A("storage_order", 2)});
  EXPECT_THAT(ImportNodes(odd), HasSubstr("MaxPool 'y': storage_order is 2; allowed are 0 and 1"));
}

TEST(CanonicalLayer, GridSampleHasTheNewNamesOfItsModes) {
  TestModel model(16);
  model.Input("x", {1, 2, 6, 6}).Input("g", {1, 4, 3, 2}).Output("y");
  model.Node("GridSample", {"x", "g"}, {"y"}, {A("mode", "bicubic"), A("align_corners", 1)});
  EXPECT_EQ(ImportNodes(model),
            "%y : f32[1,2,4,3] = GridSample(%x, %g) {align_corners=1, mode=\"cubic\", "
            "padding_mode=\"zeros\"}\n");
}

TestModel BatchNorm(int64_t opset, std::initializer_list<std::string> outputs,
                    std::initializer_list<onnx::AttributeProto> attributes = {}) {
  TestModel model(opset);
  model.Input("x", {1, 2, 3, 3}).Output("y");
  for (const char* name : {"scale", "bias", "mean", "var"}) model.Initializer(Zeros({2}, name));
  model.Node("BatchNormalization", {"x", "scale", "bias", "mean", "var"}, outputs, attributes);
  return model;
}

const std::string kBatchNorm =
    "%y : f32[1,2,3,3] = BatchNormalization(%x, %scale, %bias, %mean, %var) "
    "{epsilon=1e-05, momentum=0.9, training_mode=";

TEST(CanonicalLayer, BatchNormalizationOfEachOpset) {
  EXPECT_EQ(ImportNodes(BatchNorm(7, {"y"}, {A("spatial", 1)})), kBatchNorm + "0}\n");
  EXPECT_EQ(ImportNodes(BatchNorm(9, {"y"})), kBatchNorm + "0}\n");
  EXPECT_EQ(ImportNodes(BatchNorm(9, {"y", "m", "v", "sm", "sv"})), kBatchNorm + "1}\n");
  EXPECT_EQ(ImportNodes(BatchNorm(14, {"y"})), kBatchNorm + "0}\n");
  EXPECT_EQ(ImportNodes(BatchNorm(15, {"y", "m", "v"}, {A("training_mode", 1)})),
            kBatchNorm + "1}\n");
  EXPECT_EQ(ImportNodes(BatchNorm(7, {"y"}, {A("spatial", 0)})),
            "error: 1 problem: BatchNormalization 'y': spatial=0 (statistics per position) is not "
            "supported");
  EXPECT_EQ(ImportNodes(BatchNorm(9, {"y", "m", "v", "sm", "sv"}).Output("sm")),
            "error: 1 problem: BatchNormalization 'y': its outputs saved_mean and saved_var are "
            "not supported");
}

TEST(CanonicalLayer, RunningStatisticsThatAreReadComeAlong) {
  EXPECT_EQ(ImportNodes(BatchNorm(15, {"y", "m", "v"}, {A("training_mode", 1)}).Output("v")),
            "%y : f32[1,2,3,3], _, %v : f32[2] = BatchNormalization(%x, %scale, %bias, %mean, "
            "%var) {epsilon=1e-05, momentum=0.9, "
            "training_mode=1}\n");
}

TEST(CanonicalLayer, GroupNormalizationBeforeOpset21HasScalesPerGroup) {
  TestModel model(18);
  model.Input("x", {1, 4, 3, 3}).Output("y");
  model.Initializer(Zeros({2}, "s")).Initializer(Zeros({2}, "b"));
  model.Node("GroupNormalization", {"x", "s", "b"}, {"y"}, {A("num_groups", 2)});
  EXPECT_EQ(ImportNodes(model),
            "%y/Reshape : f32[2,1] = Reshape(%s) {shape=[2, 1]}\n"
            "%y/Expand : f32[2,2] = Expand(%y/Reshape) {shape=[2, 2]}\n"
            "%y/Reshape.1 : f32[4] = Reshape(%y/Expand) {shape=[4]}\n"
            "%y/Reshape.2 : f32[2,1] = Reshape(%b) {shape=[2, 1]}\n"
            "%y/Expand.1 : f32[2,2] = Expand(%y/Reshape.2) {shape=[2, 2]}\n"
            "%y/Reshape.3 : f32[4] = Reshape(%y/Expand.1) {shape=[4]}\n"
            "%y : f32[1,4,3,3] = GroupNormalization(%x, %y/Reshape.1, %y/Reshape.3) "
            "{epsilon=1e-05, num_groups=2}\n");
}

TEST(CanonicalLayer, InstanceNormalizationHasAGroupPerChannel) {
  TestModel model(17);
  model.Input("x", {1, 4, 3, 3}).Output("y");
  model.Initializer(Zeros({4}, "s")).Initializer(Zeros({4}, "b"));
  model.Node("InstanceNormalization", {"x", "s", "b"}, {"y"});
  EXPECT_EQ(ImportNodes(model),
            "%y : f32[1,4,3,3] = GroupNormalization(%x, %s, %b) {epsilon=1e-05, "
            "num_groups=4}\n");
}

TEST(CanonicalLayer, DropoutStaysOnlyWhereItDrops) {
  const auto with = [](int64_t opset, float ratio, int training) {
    TestModel model(opset);
    model.Input("x", {4}).Output("y");
    model.Constant("r", Floats({}, {ratio}));
    onnx::TensorProto flag = Ints({}, {});
    flag.set_data_type(onnx::TensorProto::BOOL);
    flag.add_int32_data(training);
    model.Constant("t", flag);
    model.Node("Dropout", {"x", "r", "t"}, {"d"}).Node("Relu", {"d"}, {"y"});
    return ImportNodes(model);
  };
  EXPECT_EQ(with(13, 0.25F, 1),
            "%d : f32[4] = Dropout(%x) {ratio=0.25, seed_id=2}\n"
            "%y : f32[4] = Relu(%d)\n");
  EXPECT_EQ(with(13, 0.25F, 0), "%y : f32[4] = Relu(%x)\n");
  EXPECT_EQ(with(12, 0.0F, 1), "%y : f32[4] = Relu(%x)\n");
  TestModel old(10);
  old.Input("x", {4}).Output("y").Node("Dropout", {"x"}, {"y"}, {A("ratio", 0.5F)});
  EXPECT_EQ(ImportNodes(old), "%y : f32[4] = Dropout(%x) {ratio=0.5, seed_id=0}\n");
}

}  // namespace
}  // namespace wsi
