// Convolution and pooling: sizes by hand, and what hostile attributes end in.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/compiler/op_fixture.h"

namespace wsi {
namespace {

using testing::HasSubstr;

Attributes ConvAttributes(std::vector<int64_t> kernel, std::vector<int64_t> strides,
                          std::vector<int64_t> dilations, std::vector<int64_t> pads,
                          int64_t group = 1) {
  return {{"kernel_shape", kernel},
          {"strides", strides},
          {"dilations", dilations},
          {"pads", pads},
          {"group", group}};
}

Attributes With(Attributes attributes, std::string_view name, AttributeValue value) {
  attributes.Set(name, std::move(value));
  return attributes;
}

// 224 + 3 + 3 - 7 = 223; 223 / 2 + 1 = 112.
const Attributes kStem = ConvAttributes({7, 7}, {2, 2}, {1, 1}, {3, 3, 3, 3});
const std::vector<Operand> kStemOperands = {F32({1, 3, 224, 224}), F32({64, 3, 7, 7})};

TEST(Conv, ShapeChannelsFirst) {
  EXPECT_EQ(InferredShape("Conv", kStemOperands, kStem), "[1,64,112,112]");
}

TEST(Conv, ShapeChannelsLast) {
  EXPECT_EQ(InferredShape("Conv", {F32({1, 224, 224, 3}), F32({64, 7, 7, 3}), F32({64})},
                          With(kStem, "channels_last", int64_t{1})),
            "[1,112,112,64]");
}

TEST(Conv, ShapeOfGroupedDilatedAsymmetric) {
  // Height: 10 + 1 + 0 - (2 * 2 + 1) = 6, + 1 = 7. Width: 9 + 2 + 1 - 3 = 9, / 3 + 1 = 4.
  EXPECT_EQ(InferredShape("Conv", {F32({2, 4, 10, 9}), F32({6, 2, 3, 3})},
                          ConvAttributes({3, 3}, {1, 3}, {2, 1}, {1, 2, 0, 1}, 2)),
            "[2,6,7,4]");
}

TEST(Conv, OneAndThreeSpatialAxes) {
  EXPECT_EQ(InferredShape("Conv", {F32({1, 2, 8}), F32({3, 2, 3})},
                          ConvAttributes({3}, {1}, {1}, {0, 0})),
            "[1,3,6]");
  EXPECT_EQ(InferredShape("Conv", {F32({1, 2, 4, 5, 6}), F32({3, 2, 1, 2, 3})},
                          ConvAttributes({1, 2, 3}, {1, 1, 1}, {1, 1, 1}, {0, 0, 0, 0, 0, 0})),
            "[1,3,4,4,4]");
}

TEST(Conv, RejectsHostileAttributes) {
  const auto message = [](const Attributes& attributes) {
    return InferredShape("Conv", kStemOperands, attributes);
  };
  const std::vector<int64_t> ones = {1, 1};
  EXPECT_THAT(message({}), HasSubstr("Conv 'n': lacks attribute kernel_shape"));
  EXPECT_THAT(message(With(kStem, "strides", std::vector<int64_t>{0, 1})),
              HasSubstr("attribute strides is 0, wants 1 to"));
  EXPECT_THAT(message(With(kStem, "dilations", std::vector<int64_t>{1, int64_t{1} << 31})),
              HasSubstr("attribute dilations is 2147483648"));
  EXPECT_THAT(message(With(kStem, "dilations", std::vector<int64_t>{2147483647, 1})),
              HasSubstr("which has 230 with padding"));
  EXPECT_THAT(message(With(kStem, "pads", std::vector<int64_t>{-1, 0, 0, 0})),
              HasSubstr("attribute pads is -1"));
  EXPECT_THAT(message(With(kStem, "pads", ones)), HasSubstr("has 2 numbers, wants 4"));
  EXPECT_THAT(message(With(kStem, "strides", 1.5)),
              HasSubstr("attribute strides is a float, wants a list of integers"));
  EXPECT_THAT(message(With(kStem, "kernel_shape", std::vector<int64_t>{3, 3})),
              HasSubstr("disagrees with attribute kernel_shape [3,3]"));
  EXPECT_THAT(message(With(kStem, "group", int64_t{0})), HasSubstr("attribute group is 0"));
  EXPECT_THAT(message(With(kStem, "group", int64_t{2})), HasSubstr("group 2 does not divide 3"));
  EXPECT_THAT(message(With(kStem, "channels_last", int64_t{2})), HasSubstr("channels_last is 2"));
  EXPECT_THAT(message(With(kStem, "auto_pad", std::string("SAME_UPPER"))), HasSubstr("auto_pad"));
}

TEST(Conv, RejectsHostileOperands) {
  EXPECT_THAT(InferredShape("Conv", {F32({1, 3, 4, 4}), F32({64, 3, 7, 7})},
                            ConvAttributes({7, 7}, {1, 1}, {1, 1}, {1, 1, 1, 1})),
              HasSubstr("kernel 7 with dilation 1 covers 7 positions of spatial axis 0, which has "
                        "6 with padding"));
  EXPECT_THAT(InferredShape("Conv", {F32({1, 4, 9, 9}), F32({64, 3, 7, 7})}, kStem),
              HasSubstr("3 input channels per group, wants 4 / 1"));
  EXPECT_THAT(InferredShape("Conv", {F32({1, 3, 9, 9}), F32({64, 3, 7, 7}), F32({63})}, kStem),
              HasSubstr("input 2 has shape [63], wants [64]"));
  EXPECT_THAT(InferredShape("Conv", {F32({3, 9}), F32({64, 3, 7, 7})}, kStem),
              HasSubstr("1 to 3 spatial axes"));
  EXPECT_THAT(InferredShape("Conv", {F32({0, 3, 9, 9}), F32({64, 3, 7, 7})}, kStem),
              HasSubstr("sizes of at least 1"));
  EXPECT_THAT(InferredShape("Conv", {Of(DType::kI64, {1, 3, 9, 9}), F32({64, 3, 7, 7})}, kStem),
              HasSubstr("input 0 is i64, wants floats"));
}

TEST(ConvGrads, TakeShapesFromAttributesAndCheckThem) {
  const Attributes input = With(kStem, "input_shape", std::vector<int64_t>{1, 3, 224, 224});
  const Attributes weight = With(kStem, "weight_shape", std::vector<int64_t>{64, 3, 7, 7});
  EXPECT_EQ(InferredShape("ConvInputGrad", {F32({1, 64, 112, 112}), F32({64, 3, 7, 7})}, input),
            "[1,3,224,224]");
  EXPECT_EQ(
      InferredShape("ConvWeightGrad", {F32({1, 3, 224, 224}), F32({1, 64, 112, 112})}, weight),
      "[64,3,7,7]");
  EXPECT_THAT(InferredShape("ConvInputGrad", {F32({1, 64, 111, 112}), F32({64, 3, 7, 7})}, input),
              HasSubstr("input 0 has shape [1,64,111,112], wants [1,64,112,112]"));
  EXPECT_THAT(InferredShape("ConvWeightGrad", {F32({1, 3, 224, 224}), F32({1, 64, 112, 112})},
                            With(kStem, "weight_shape", std::vector<int64_t>{64, -3, 7, 7})),
              HasSubstr("attribute weight_shape: negative size -3"));
}

TEST(Conv, CostsTwoPerMultiplyAdd) {
  OneNode one("Conv", kStemOperands, kStem);
  ASSERT_TRUE(InferTypes(one.graph(), one.node()).ok());
  const Cost cost = FindOp("Conv")->cost(one.view());
  EXPECT_EQ(cost.flops, 2.0 * 64 * 112 * 112 * 3 * 49);
  EXPECT_EQ(cost.bytes, 4.0 * (3 * 224 * 224 + 64 * 3 * 49 + 64 * 112 * 112));
}

TEST(Conv, DepthwiseIsNoWorkForMatrixUnits) {
  const auto vector_only = [](const std::vector<Operand>& operands, int64_t group) {
    OneNode one("Conv", operands,
                With(ConvAttributes({3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}), "group", group));
    EXPECT_TRUE(InferTypes(one.graph(), one.node()).ok());
    return FindOp("Conv")->cost(one.view()).vector_only;
  };
  EXPECT_TRUE(vector_only({F32({1, 8, 9, 9}), F32({8, 1, 3, 3})}, 8));
  EXPECT_TRUE(vector_only({F32({1, 8, 9, 9}), F32({16, 1, 3, 3})}, 8));
  EXPECT_FALSE(vector_only({F32({1, 8, 9, 9}), F32({8, 2, 3, 3})}, 4));
  EXPECT_FALSE(vector_only({F32({1, 1, 9, 9}), F32({8, 1, 3, 3})}, 1));
}

Attributes PoolAttributes(std::vector<int64_t> kernel, std::vector<int64_t> strides,
                          std::vector<int64_t> pads, int64_t ceil_mode = 0) {
  return {{"kernel_shape", kernel},
          {"strides", strides},
          {"dilations", std::vector<int64_t>(kernel.size(), 1)},
          {"pads", pads},
          {"ceil_mode", ceil_mode}};
}

TEST(MaxPool, IndexIsAByteUpTo256Positions) {
  const auto small =
      Infer("MaxPool", {F32({1, 64, 112, 112})}, PoolAttributes({3, 3}, {2, 2}, {1, 1, 1, 1}), 2);
  ASSERT_TRUE(small.ok());
  EXPECT_EQ((*small)[0], (TensorType{DType::kF32, {1, 64, 56, 56}}));
  EXPECT_EQ((*small)[1], (TensorType{DType::kU8, {1, 64, 56, 56}}));
  const auto full =
      Infer("MaxPool", {F32({1, 1, 16, 16})}, PoolAttributes({16, 16}, {1, 1}, {0, 0, 0, 0}), 2);
  EXPECT_EQ((*full)[1].dtype, DType::kU8);
  const auto large =
      Infer("MaxPool", {F32({1, 1, 17, 16})}, PoolAttributes({17, 16}, {1, 1}, {0, 0, 0, 0}), 2);
  EXPECT_EQ((*large)[1].dtype, DType::kI32);
}

TEST(Pools, CeilModeRoundsUpButNotIntoTheEndPadding) {
  // (6 - 3) / 2 = 1.5.
  EXPECT_EQ(InferredShape("AveragePool", {F32({1, 1, 6})}, PoolAttributes({3}, {2}, {0, 0})),
            "[1,1,2]");
  EXPECT_EQ(InferredShape("AveragePool", {F32({1, 1, 6})}, PoolAttributes({3}, {2}, {0, 0}, 1)),
            "[1,1,3]");
  // (3 + 1 + 1 - 2) / 2 = 1.5: a third window would begin at 4 = 3 + 1.
  EXPECT_EQ(InferredShape("MaxPool", {F32({1, 1, 3})}, PoolAttributes({2}, {2}, {1, 1}, 1)),
            "[1,1,2]");
}

TEST(Pools, RejectWindowsOfPaddingOnly) {
  EXPECT_THAT(InferredShape("MaxPool", {F32({1, 1, 6})}, PoolAttributes({2}, {1}, {2, 0})),
              HasSubstr("hold only padding"));
  EXPECT_THAT(InferredShape("AveragePool", {F32({1, 1, 6})}, PoolAttributes({2}, {1}, {0, 2})),
              HasSubstr("hold only padding"));
  EXPECT_THAT(InferredShape("MaxPool", {F32({1, 1, 4, 4})},
                            PoolAttributes({65536, 65536}, {1, 1}, {0, 0, 0, 0})),
              HasSubstr("wants at most 2^31 - 1"));
}

TEST(PoolGrads, CheckOperandsAgainstTheInputShape) {
  Attributes attributes = PoolAttributes({3, 3}, {2, 2}, {1, 1, 1, 1});
  attributes.Set("input_shape", std::vector<int64_t>{1, 8, 9, 9});
  EXPECT_EQ(
      InferredShape("MaxPoolGrad", {F32({1, 8, 5, 5}), Of(DType::kU8, {1, 8, 5, 5})}, attributes),
      "[1,8,9,9]");
  EXPECT_THAT(
      InferredShape("MaxPoolGrad", {F32({1, 8, 5, 5}), Of(DType::kI32, {1, 8, 5, 5})}, attributes),
      HasSubstr("input 1 is i32, wants u8"));
  EXPECT_THAT(InferredShape("AveragePoolGrad", {F32({1, 8, 4, 5})}, attributes),
              HasSubstr("wants [1,8,5,5]"));
}

TEST(GlobalPools, KeepTheAxes) {
  EXPECT_EQ(InferredShape("GlobalAveragePool", {F32({2, 8, 5, 7})}), "[2,8,1,1]");
  EXPECT_EQ(
      InferredShape("GlobalAveragePool", {F32({2, 5, 7, 8})}, {{"channels_last", int64_t{1}}}),
      "[2,1,1,8]");
  const auto types = Infer("GlobalMaxPool", {F32({2, 8, 5})}, {}, 2);
  EXPECT_EQ((*types)[1], (TensorType{DType::kI64, {2, 8, 1}}));
  EXPECT_EQ(InferredShape("GlobalAveragePoolGrad", {F32({2, 8, 1})},
                          {{"input_shape", std::vector<int64_t>{2, 8, 5}}}),
            "[2,8,5]");
}

}  // namespace
}  // namespace wsi
