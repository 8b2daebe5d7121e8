// Views and axis operands in the forms of each opset.
#include <gtest/gtest.h>

#include "tests/onnx/test_model.h"

namespace wsi {
namespace {

TestModel WithInput(int64_t opset, std::initializer_list<int64_t> sizes = {2, 3, 4, 4}) {
  TestModel model(opset);
  model.Input("x", sizes).Output("y");
  return model;
}

TEST(CanonicalShape, ReshapeResolvesZeroAndMinusOne) {
  EXPECT_EQ(
      ImportNodes(
          WithInput(13).Constant("s", Ints({3}, {0, -1, 2})).Node("Reshape", {"x", "s"}, {"y"})),
      "%y : f32[2,24,2] = Reshape(%x) {shape=[2, 24, 2]}\n");
}

TEST(CanonicalShape, ReshapeAllowZeroKeepsZero) {
  EXPECT_EQ(ImportNodes(WithInput(14, {0, 3})
                            .Constant("s", Ints({2}, {0, 5}))
                            .Node("Reshape", {"x", "s"}, {"y"}, {A("allowzero", 1)})),
            "%y : f32[0,5] = Reshape(%x) {shape=[0, 5]}\n");
  EXPECT_EQ(ImportNodes(WithInput(14, {2})
                            .Constant("none", Floats({0, 3}, {}))
                            .Constant("s", Ints({2}, {5, 0}))
                            .Node("Reshape", {"none", "s"}, {"r"}, {A("allowzero", 1)})
                            .Node("ReduceSum", {"r"}, {"sum"}, {A("keepdims", 0)})
                            .Node("Add", {"x", "sum"}, {"y"})),
            "%y : f32[2] = Add(%x, %sum)\n");
}

TEST(CanonicalShape, ReshapeByAModelInputCannotBeBound) {
  EXPECT_EQ(ImportNodes(WithInput(14)
                            .Input("s", {2}, onnx::TensorProto::INT64)
                            .Node("Reshape", {"x", "s"}, {"y"})),
            "error: 1 problem: Reshape 'y': shape ('s') must be known at compile time, but depends "
            "on a model input's contents");
}

TEST(CanonicalShape, FlattenTakesNegativeAxis) {
  EXPECT_EQ(ImportNodes(WithInput(13).Node("Flatten", {"x"}, {"y"})),
            "%y : f32[2,48] = Reshape(%x) {shape=[2, 48]}\n");
  EXPECT_EQ(ImportNodes(WithInput(13).Node("Flatten", {"x"}, {"y"}, {A("axis", -1)})),
            "%y : f32[24,4] = Reshape(%x) {shape=[24, 4]}\n");
  EXPECT_EQ(ImportNodes(WithInput(9).Node("Flatten", {"x"}, {"y"}, {A("axis", 0)})),
            "%y : f32[1,96] = Reshape(%x) {shape=[1, 96]}\n");
}

TEST(CanonicalShape, SqueezeAxesAreAttributeThenOperand) {
  const std::string expected = "%y : f32[3,4] = Reshape(%x) {shape=[3, 4]}\n";
  EXPECT_EQ(
      ImportNodes(WithInput(11, {1, 3, 1, 4}).Node("Squeeze", {"x"}, {"y"}, {A("axes", {0, 2})})),
      expected);
  EXPECT_EQ(ImportNodes(WithInput(13, {1, 3, 1, 4})
                            .Initializer(Ints({2}, {-2, 0}, "a"))
                            .Node("Squeeze", {"x", "a"}, {"y"})),
            expected);
  EXPECT_EQ(ImportNodes(WithInput(13, {1, 3, 1, 4}).Node("Squeeze", {"x"}, {"y"})), expected);
  EXPECT_EQ(
      ImportNodes(WithInput(11, {1, 3, 1, 4}).Node("Squeeze", {"x"}, {"y"}, {A("axes", {1})})),
      "error: 1 problem: Squeeze 'y': axis 1 of [1,3,1,4] is not 1");
}

TEST(CanonicalShape, UnsqueezeAxesAreAttributeThenOperand) {
  const std::string expected = "%y : f32[1,3,4,1] = Reshape(%x) {shape=[1, 3, 4, 1]}\n";
  EXPECT_EQ(ImportNodes(WithInput(11, {3, 4}).Node("Unsqueeze", {"x"}, {"y"}, {A("axes", {0, 3})})),
            expected);
  EXPECT_EQ(ImportNodes(WithInput(13, {3, 4})
                            .Constant("a", Ints({2}, {-1, 0}))
                            .Node("Unsqueeze", {"x", "a"}, {"y"})),
            expected);
}

TEST(CanonicalShape, ReduceMeanAxesBecomeOperandInOpset18) {
  const std::string expected = "%y : f32[2,3,1,1] = ReduceMean(%x) {axes=[2, 3], keepdims=1}\n";
  EXPECT_EQ(ImportNodes(WithInput(13).Node("ReduceMean", {"x"}, {"y"}, {A("axes", {-1, 2})})),
            expected);
  EXPECT_EQ(
      ImportNodes(
          WithInput(18).Constant("a", Ints({2}, {3, 2})).Node("ReduceMean", {"x", "a"}, {"y"})),
      expected);
}

TEST(CanonicalShape, ReduceSumAxesBecomeOperandInOpset13) {
  EXPECT_EQ(ImportNodes(
                WithInput(12).Node("ReduceSum", {"x"}, {"y"}, {A("axes", {1}), A("keepdims", 0)})),
            "%y : f32[2,4,4] = ReduceSum(%x) {axes=[1], keepdims=0}\n");
  EXPECT_EQ(ImportNodes(WithInput(13).Node("ReduceSum", {"x"}, {"y"}, {A("keepdims", 0)})),
            "%y : f32[] = ReduceSum(%x) {axes=[0, 1, 2, 3], keepdims=0}\n");
  EXPECT_EQ(ImportNodes(WithInput(13)
                            .Node("ReduceSum", {"x"}, {"z"}, {A("noop_with_empty_axes", 1)})
                            .Node("Relu", {"z"}, {"y"})),
            "%y : f32[2,3,4,4] = Relu(%x)\n");
}

TEST(CanonicalShape, SoftmaxBeforeOpset13SumsOverAllTrailingAxes) {
  EXPECT_EQ(ImportNodes(WithInput(13).Node("Softmax", {"x"}, {"y"}, {A("axis", 1)})),
            "%y : f32[2,3,4,4] = Softmax(%x) {axis=1}\n");
  EXPECT_EQ(ImportNodes(WithInput(13).Node("LogSoftmax", {"x"}, {"y"})),
            "%y : f32[2,3,4,4] = LogSoftmax(%x) {axis=3}\n");
  EXPECT_EQ(ImportNodes(WithInput(11, {2, 5}).Node("Softmax", {"x"}, {"y"})),
            "%y : f32[2,5] = Softmax(%x) {axis=1}\n");
  EXPECT_EQ(ImportNodes(WithInput(11).Node("Softmax", {"x"}, {"y"})),
            "%y/Reshape : f32[2,48] = Reshape(%x) {shape=[2, 48]}\n"
            "%y/Softmax : f32[2,48] = Softmax(%y/Reshape) {axis=1}\n"
            "%y : f32[2,3,4,4] = Reshape(%y/Softmax) {shape=[2, 3, 4, 4]}\n");
}

}  // namespace
}  // namespace wsi
