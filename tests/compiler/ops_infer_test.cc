// Types that the other families infer, and what hostile attributes end in.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "tests/compiler/op_fixture.h"

namespace wsi {
namespace {

using testing::HasSubstr;
using I = std::vector<int64_t>;

TEST(Pointwise, Broadcasts) {
  EXPECT_EQ(InferredShape("Add", {F32({2, 1, 4}), F32({3, 1})}), "[2,3,4]");
  EXPECT_EQ(InferredShape("Where", {Of(DType::kBool, {3, 1}), F32({4}), F32({2, 1, 1})}),
            "[2,3,4]");
  EXPECT_EQ((*Infer("Less", {F32({2}), F32({})}))[0], (TensorType{DType::kBool, {2}}));
  EXPECT_THAT(InferredShape("Mul", {F32({2, 3}), F32({2})}), HasSubstr("do not broadcast"));
}

TEST(Pointwise, ChecksTypes) {
  EXPECT_THAT(InferredShape("Add", {F32({2}), Of(DType::kI64, {2})}),
              HasSubstr("input 1 is i64, wants f32 as input 0"));
  EXPECT_THAT(InferredShape("Relu", {Of(DType::kI64, {2})}), HasSubstr("wants floats"));
  EXPECT_THAT(InferredShape("And", {F32({2}), F32({2})}), HasSubstr("wants bool"));
  EXPECT_THAT(InferredShape("Cast", {F32({2})}, {{"to", std::string("float")}}),
              HasSubstr("attribute to: 'float' is not an element type"));
  EXPECT_THAT(InferredShape("Cast", {F32({2})}), HasSubstr("lacks attribute to"));
  EXPECT_THAT(
      InferredShape("Clip", {F32({2})}, {{"min", std::numeric_limits<double>::quiet_NaN()}}),
      HasSubstr("attribute min is nan"));
  EXPECT_THAT(InferredShape("ReluGrad", {F32({2}), F32({1})}), HasSubstr("wants [2]"));
}

TEST(BatchNorm, StatisticsAreSinglePrecisionAtLeast) {
  const auto types = Infer("BatchNormTrain", {Of(DType::kF16, {2, 5, 5, 8}), F32({8}), F32({8})},
                           {{"epsilon", 1e-5}, {"channels_last", int64_t{1}}}, 3);
  ASSERT_TRUE(types.ok()) << types.status().message();
  EXPECT_EQ((*types)[0], (TensorType{DType::kF16, {2, 5, 5, 8}}));
  EXPECT_EQ((*types)[1], (TensorType{DType::kF32, {8}}));
  EXPECT_EQ((*Infer("BatchNormStats", {Of(DType::kF64, {2, 8, 5})}, {}, 2))[1],
            (TensorType{DType::kF64, {8}}));
}

TEST(BatchNorm, ReluNeedsTheForwardResult) {
  const std::vector<Operand> operands = {F32({2, 8, 5}), F32({2, 8, 5}), F32({8}), F32({8})};
  const Attributes relu = {{"epsilon", 1e-5}, {"relu", int64_t{1}}};
  EXPECT_THAT(Infer("BatchNormGradStats", operands, relu, 2).status().message(),
              HasSubstr("lacks input 4"));
  EXPECT_THAT(Infer("BatchNormGradStats", operands, {}, 2).status().message(),
              HasSubstr("lacks attribute epsilon"));
}

TEST(BatchNorm, ReluTakesWhatTheForwardResultIsMadeOf) {
  std::vector<Operand> operands = {F32({2, 8, 5}), F32({2, 8, 5}), F32({8}), F32({8})};
  const Attributes relu = {{"epsilon", 1e-5}, {"relu", int64_t{1}}};
  operands.insert(operands.end(), {None(), F32({8})});
  EXPECT_THAT(Infer("BatchNormGradStats", operands, relu, 2).status().message(),
              HasSubstr("lacks input 4"));
  operands.push_back(F32({8}));
  EXPECT_TRUE(Infer("BatchNormGradStats", operands, relu, 2).ok());
  operands.push_back(F32({2, 8, 6}));
  EXPECT_THAT(Infer("BatchNormGradStats", operands, relu, 2).status().message(),
              HasSubstr("input 7 has shape [2,8,6], wants [2,8,5]"));
}

TEST(BatchNorm, RejectsBadNumbers) {
  const std::vector<Operand> operands = {F32({2, 8, 5}), F32({8}), F32({8}), F32({8}), F32({8})};
  EXPECT_EQ(InferredShape("BatchNormalization", operands), "[2,8,5]");
  EXPECT_THAT(InferredShape("BatchNormalization", operands, {{"epsilon", -1.0}}),
              HasSubstr("attribute epsilon is -1"));
  EXPECT_THAT(InferredShape("BatchNormalization", operands, {{"momentum", 1.5}}),
              HasSubstr("attribute momentum is 1.5"));
  EXPECT_THAT(
      InferredShape("BatchNormApply", {F32({2, 8, 5}), F32({8}), F32({8}), F32({8}), F32({7})},
                    {{"epsilon", 1e-5}}),
      HasSubstr("input 4 has shape [7], wants [8]"));
}

TEST(GroupNorm, StatisticsPerGroup) {
  const std::vector<Operand> operands = {F32({2, 8, 5, 5}), F32({8}), F32({8})};
  const auto types = Infer("GroupNormalization", operands, {{"num_groups", int64_t{4}}}, 3);
  ASSERT_TRUE(types.ok());
  EXPECT_EQ((*types)[2], (TensorType{DType::kF32, {2, 4}}));
  EXPECT_THAT(InferredShape("GroupNormalization", operands, {{"num_groups", int64_t{3}}}),
              HasSubstr("num_groups 3 does not divide 8 channels"));
  EXPECT_THAT(InferredShape("GroupNormalization", operands, {{"num_groups", int64_t{0}}}),
              HasSubstr("attribute num_groups is 0"));
}

TEST(Linear, Shapes) {
  EXPECT_EQ(InferredShape("Gemm", {F32({5, 2}), F32({3, 5}), F32({3})},
                          {{"transA", int64_t{1}}, {"transB", int64_t{1}}}),
            "[2,3]");
  EXPECT_EQ(InferredShape("MatMul", {F32({7, 1, 2, 5}), F32({4, 5, 3})}), "[7,4,2,3]");
  EXPECT_EQ(InferredShape("MatMul", {F32({5}), F32({4, 5, 3})}), "[4,3]");
  EXPECT_EQ(InferredShape("MatMul", {F32({4, 2, 5}), F32({5})}), "[4,2]");
  EXPECT_EQ(InferredShape("MatMul", {F32({5}), F32({5})}), "[]");
}

TEST(Linear, RejectsMismatches) {
  EXPECT_THAT(InferredShape("Gemm", {F32({2, 5}), F32({4, 3})}),
              HasSubstr("disagree on the inner size: 5 and 4"));
  EXPECT_THAT(InferredShape("Gemm", {F32({2, 5}), F32({5, 3}), F32({2})}),
              HasSubstr("does not broadcast to [2,3]"));
  EXPECT_THAT(InferredShape("Gemm", {F32({2, 5}), F32({5, 3}), F32({4, 2, 3})}),
              HasSubstr("does not broadcast to [2,3]"));
  EXPECT_THAT(InferredShape("Gemm", {F32({1, 2, 5}), F32({5, 3})}), HasSubstr("rank 3"));
  EXPECT_THAT(InferredShape("Gemm", {F32({2, 5}), F32({5, 3})}, {{"transA", int64_t{2}}}),
              HasSubstr("attribute transA is 2"));
  EXPECT_THAT(InferredShape("MatMul", {F32({}), F32({5})}), HasSubstr("scalar"));
}

TEST(Reduction, ShapesAndAxes) {
  EXPECT_EQ(InferredShape("ReduceSum", {F32({2, 3, 4})}, {{"axes", I{0, 2}}}), "[1,3,1]");
  EXPECT_EQ(
      InferredShape("ReduceMean", {F32({2, 3, 4})}, {{"axes", I{1}}, {"keepdims", int64_t{0}}}),
      "[2,4]");
  EXPECT_THAT(InferredShape("ReduceSum", {F32({2, 3})}, {{"axes", I{2}}}),
              HasSubstr("attribute axes is 2, wants 0 to 1"));
  EXPECT_THAT(InferredShape("ReduceSum", {F32({2, 3})}, {{"axes", I{1, 1}}}),
              HasSubstr("names axis 1 twice"));
  EXPECT_THAT(InferredShape("ReduceMean", {Of(DType::kI64, {2})}, {{"axes", I{0}}}),
              HasSubstr("wants floats"));
}

TEST(Half, SumsMayBeSinglePrecision) {
  const Operand half = Of(DType::kBF16, {2, 3});
  const Attributes single = {{"axes", I{0}}, {"dtype", std::string("f32")}};
  EXPECT_EQ((*Infer("ReduceSum", {half}, single))[0], (TensorType{DType::kF32, {1, 3}}));
  EXPECT_EQ((*Infer("ReduceMean", {half}, {{"axes", I{0}}}))[0],
            (TensorType{DType::kBF16, {1, 3}}));
  EXPECT_EQ((*Infer("MatMul", {half, Of(DType::kBF16, {3})}, {{"dtype", std::string("f32")}}))[0],
            (TensorType{DType::kF32, {2}}));
  EXPECT_THAT(InferredShape("MatMul", {half, F32({3})}, {}), HasSubstr("wants bf16 as input 0"));
  EXPECT_THAT(InferredShape("ReduceSum", {half}, {{"axes", I{0}}, {"dtype", std::string("f16")}}),
              HasSubstr("attribute dtype is f16, wants bf16 or f32"));
  EXPECT_THAT(
      InferredShape("ReduceSum", {F32({2})}, {{"axes", I{0}}, {"dtype", std::string("bf16")}}),
      HasSubstr("attribute dtype is bf16, wants f32"));
}

TEST(Half, WeightGradientsAreSinglePrecision) {
  const Attributes conv = {{"kernel_shape", I{1, 1}},      {"strides", I{1, 1}},
                           {"dilations", I{1, 1}},         {"pads", I{0, 0, 0, 0}},
                           {"group", int64_t{1}},          {"channels_last", int64_t{1}},
                           {"weight_shape", I{4, 1, 1, 3}}};
  for (const DType dtype : {DType::kF16, DType::kBF16, DType::kF32}) {
    EXPECT_EQ(
        (*Infer("ConvWeightGrad", {Of(dtype, {1, 5, 5, 3}), Of(dtype, {1, 5, 5, 4})}, conv))[0],
        (TensorType{DType::kF32, {4, 1, 1, 3}}));
  }
  EXPECT_EQ((*Infer("AllFinite", {Of(DType::kF16, {7})}))[0], (TensorType{DType::kF32, {}}));
  EXPECT_THAT(InferredShape("AllFinite", {F32({7}), F32({1})}), HasSubstr("wants []"));
}

TEST(Softmax, WantsAnAxisOfTheInput) {
  EXPECT_EQ(InferredShape("Softmax", {F32({2, 3})}, {{"axis", int64_t{1}}}), "[2,3]");
  EXPECT_THAT(InferredShape("Softmax", {F32({2, 3})}, {{"axis", int64_t{-1}}}),
              HasSubstr("attribute axis is -1, wants 0 to 1"));
  EXPECT_THAT(InferredShape("Softmax", {F32({})}, {{"axis", int64_t{0}}}), HasSubstr("scalar"));
}

TEST(Loss, ClassScoresAgainstClassNumbers) {
  const std::vector<Operand> operands = {F32({2, 5, 3, 3}), Of(DType::kI64, {2, 3, 3}), F32({5})};
  const auto types = Infer("SoftmaxCrossEntropyLoss", operands, {}, 2);
  ASSERT_TRUE(types.ok()) << types.status().message();
  EXPECT_EQ((*types)[0], (TensorType{DType::kF32, {}}));
  EXPECT_EQ((*types)[1], (TensorType{DType::kF32, {2, 5, 3, 3}}));
  EXPECT_THAT(
      InferredShape("SoftmaxCrossEntropyLoss", operands, {{"reduction", std::string("none")}}),
      HasSubstr("attribute reduction is 'none', wants 'mean' or 'sum'"));
  EXPECT_THAT(InferredShape("SoftmaxCrossEntropyLoss", {F32({2, 5}), F32({2})}),
              HasSubstr("input 1 is f32, wants i64"));
  EXPECT_THAT(InferredShape("NegativeLogLikelihoodLoss", {F32({2, 5}), Of(DType::kI64, {5})}),
              HasSubstr("input 1 has shape [5], wants [2]"));
  EXPECT_THAT(InferredShape("MeanSquaredError", {F32({2}), F32({1})}), HasSubstr("wants [2]"));
  EXPECT_THAT(InferredShape("MeanSquaredError", {F32({0}), F32({0})}),
              HasSubstr("mean of no elements"));
}

TEST(Movement, Shapes) {
  EXPECT_EQ(InferredShape("Concat", {F32({2, 3}), F32({2, 5})}, {{"axis", int64_t{1}}}), "[2,8]");
  EXPECT_EQ(InferredShape("Transpose", {F32({2, 3, 4})}, {{"perm", I{2, 0, 1}}}), "[4,2,3]");
  EXPECT_EQ(InferredShape("Reshape", {F32({2, 6})}, {{"shape", I{3, 4}}}), "[3,4]");
  EXPECT_EQ(InferredShape("Expand", {F32({3, 1})}, {{"shape", I{2, 3, 4}}}), "[2,3,4]");
  EXPECT_EQ(InferredShape("Pad", {F32({2, 3})}, {{"pads", I{1, 0, 2, 4}}}), "[5,7]");
  EXPECT_EQ(InferredShape("Gather", {F32({2, 3, 4}), Of(DType::kI64, {5})}, {{"axis", int64_t{1}}}),
            "[2,5,4]");
  const Operand elements = Of(DType::kI64, {2, 5, 1});
  EXPECT_EQ(InferredShape("GatherElements", {F32({2, 3, 4}), elements}, {{"axis", int64_t{1}}}),
            "[2,5,1]");
  EXPECT_THAT(InferredShape("GatherElements", {F32({2, 3, 4}), elements}, {{"axis", int64_t{2}}}),
              HasSubstr("indices [2,5,1] do not lie within [2,3,4] but for axis 2"));
  EXPECT_EQ(InferredShape("TopK", {F32({2, 3})}, {{"axis", int64_t{1}}, {"k", int64_t{2}}}),
            "[2,2]");
  EXPECT_THAT(InferredShape("TopK", {F32({2, 3})}, {{"axis", int64_t{1}}, {"k", int64_t{4}}}),
              HasSubstr("attribute k is 4, wants 0 to 3"));
  EXPECT_EQ(InferredShape("ArgMax", {F32({2, 3})}, {{"axis", int64_t{0}}}), "[1,3]");
  EXPECT_EQ(
      InferredShape("LayerNormalization", {F32({2, 3, 4}), F32({3, 4})}, {{"axis", int64_t{1}}}),
      "[2,3,4]");
  EXPECT_THAT(InferredShape("RMSNormalization", {F32({2, 3, 4}), F32({3})}, {{"axis", int64_t{2}}}),
              HasSubstr("wants [4]"));
}

TEST(Movement, RejectsBadAttributes) {
  constexpr int64_t kHuge = std::numeric_limits<int64_t>::max();
  EXPECT_THAT(InferredShape("Concat", {F32({2, 3}), F32({3, 3})}, {{"axis", int64_t{1}}}),
              HasSubstr("input 1 has shape [3,3], wants [2,3] but for axis 1"));
  EXPECT_THAT(InferredShape("Concat", {F32({2})}, {{"axis", int64_t{1}}}),
              HasSubstr("attribute axis is 1"));
  EXPECT_THAT(InferredShape("Transpose", {F32({2, 3})}, {{"perm", I{0, 0}}}), HasSubstr("twice"));
  EXPECT_THAT(InferredShape("Transpose", {F32({2, 3})}, {{"perm", I{0}}}), HasSubstr("wants 2"));
  EXPECT_THAT(InferredShape("Reshape", {F32({2, 6})}, {{"shape", I{5, 2}}}),
              HasSubstr("12 elements cannot become [5,2] of 10"));
  EXPECT_THAT(InferredShape("Reshape", {F32({2, 6})}, {{"shape", I{-1, 2}}}),
              HasSubstr("negative size -1"));
  EXPECT_THAT(InferredShape("Expand", {F32({3})}, {{"shape", I{4}}}), HasSubstr("broadcast"));
  EXPECT_THAT(InferredShape("Expand", {F32({1})}, {{"shape", I{kHuge, 2}}}),
              HasSubstr("overflows"));
  EXPECT_THAT(InferredShape("Pad", {F32({2})}, {{"pads", I{kHuge, 0}}}), HasSubstr("overflows"));
  EXPECT_THAT(InferredShape("Pad", {F32({2})}, {{"pads", I{-1, 0}}}), HasSubstr("pads is -1"));
  EXPECT_THAT(InferredShape("Pad", {F32({2})}, {{"pads", I{1, 0}}, {"mode", std::string("edge")}}),
              HasSubstr("mode is 'edge'"));
}

Attributes Bounds(I starts, I ends, I axes, I steps) {
  return {{"starts", starts}, {"ends", ends}, {"axes", axes}, {"steps", steps}};
}

TEST(Slice, ShapesAndCanonicalBounds) {
  EXPECT_EQ(InferredShape("Slice", {F32({10, 7})}, Bounds({1, 0}, {8, 7}, {0, 1}, {3, 7})),
            "[3,1]");
  EXPECT_EQ(InferredShape("Slice", {F32({10})}, Bounds({9}, {-1}, {0}, {-4})), "[3]");
  EXPECT_EQ(InferredShape("Slice", {F32({10})}, Bounds({4}, {4}, {0}, {1})), "[0]");
  for (const Attributes& bad :
       {Bounds({2}, {11}, {0}, {1}), Bounds({3}, {2}, {0}, {1}), Bounds({0}, {5}, {0}, {0}),
        Bounds({10}, {-1}, {0}, {-1}), Bounds({0}, {-1}, {0}, {1})}) {
    EXPECT_THAT(InferredShape("Slice", {F32({10})}, bad), HasSubstr("no canonical slice"));
  }
  EXPECT_THAT(InferredShape("Slice", {F32({10})}, Bounds({0, 1}, {5}, {0}, {1})),
              HasSubstr("attribute starts has 2 numbers, wants 1"));
  Attributes grad = Bounds({1}, {8}, {0}, {3});
  grad.Set("input_shape", I{10});
  EXPECT_EQ(InferredShape("SliceGrad", {F32({3})}, grad), "[10]");
  EXPECT_THAT(InferredShape("SliceGrad", {F32({2})}, grad), HasSubstr("wants [3]"));
}

TEST(ShapeOps, FillAndRange) {
  const std::string f32 = "f32", i64 = "i64", u8 = "u8";
  EXPECT_EQ(InferredShape("Fill", {}, {{"value", 1.0}, {"shape", I{2}}, {"dtype", f32}}), "[2]");
  EXPECT_THAT(InferredShape("Fill", {}, {{"value", 1.5}, {"shape", I{2}}, {"dtype", i64}}),
              HasSubstr("value 1.5 is no i64"));
  EXPECT_THAT(InferredShape("Fill", {}, {{"value", int64_t{256}}, {"shape", I{}}, {"dtype", u8}}),
              HasSubstr("constant 256 does not fit element type u8"));
  const auto range = [&](int64_t start, int64_t limit, int64_t delta) {
    return InferredShape("Range", {},
                         {{"start", start}, {"limit", limit}, {"delta", delta}, {"dtype", i64}});
  };
  EXPECT_EQ(range(3, 10, 3), "[3]");
  EXPECT_EQ(range(10, 3, -7), "[1]");
  EXPECT_EQ(range(3, 3, 1), "[0]");
  EXPECT_THAT(range(0, 5, 0), HasSubstr("delta is 0"));
  EXPECT_THAT(range(std::numeric_limits<int64_t>::min(), 1, 1), HasSubstr("overflows"));
  EXPECT_THAT(
      InferredShape("Range", {}, {{"start", 0.0}, {"limit", 1.0}, {"delta", 0.0}, {"dtype", f32}}),
      HasSubstr("never ends"));
}

TEST(Optimizer, ChecksStateAndScalars) {
  const Attributes adam = {{"beta1", 0.9}, {"beta2", 0.999}, {"epsilon", 1e-8}};
  std::vector<Operand> operands = {F32({4}), F32({4}), F32({4}),
                                   F32({4}), F32({}),  Of(DType::kI64, {})};
  const auto types = Infer("AdamUpdate", operands, adam, 3);
  ASSERT_TRUE(types.ok()) << types.status().message();
  EXPECT_EQ((*types)[2], (TensorType{DType::kF32, {4}}));
  operands[1] = Of(DType::kF16, {4});
  EXPECT_TRUE(Infer("AdamUpdate", operands, adam, 3).ok());
  operands[5] = F32({});
  EXPECT_THAT(Infer("AdamUpdate", operands, adam, 3).status().message(),
              HasSubstr("input 5 is f32, wants i64"));
  EXPECT_THAT(InferredShape("SgdUpdate", {F32({4}), F32({3}), F32({})}),
              HasSubstr("input 1 has shape [3], wants [4]"));
  EXPECT_THAT(InferredShape("SgdUpdate", {F32({4}), F32({4}), F32({1})}),
              HasSubstr("input 2 has shape [1], wants []"));
  EXPECT_EQ((*Infer("SquaredNorm", {Of(DType::kF16, {4})}))[0], (TensorType{DType::kF32, {}}));
  EXPECT_THAT(InferredShape("ClipScale", {F32({})}, {{"max_norm", 0.0}}),
              HasSubstr("max_norm is 0"));
}

TEST(Dropout, SeedAndStepComeTogether) {
  const Operand scalar = Of(DType::kI64, {});
  const auto types = Infer("Dropout", {F32({4}), scalar, scalar}, {{"seed_id", int64_t{3}}}, 2);
  ASSERT_TRUE(types.ok()) << types.status().message();
  EXPECT_EQ((*types)[1], (TensorType{DType::kBool, {4}}));
  EXPECT_THAT(InferredShape("Dropout", {F32({4}), scalar, scalar}),
              HasSubstr("lacks attribute seed_id"));
  EXPECT_THAT(InferredShape("Dropout", {F32({4}), scalar}), HasSubstr("only one of"));
  EXPECT_THAT(InferredShape("Dropout", {F32({4})}, {{"ratio", 1.0}}), HasSubstr("ratio is 1"));
}

}  // namespace
}  // namespace wsi
