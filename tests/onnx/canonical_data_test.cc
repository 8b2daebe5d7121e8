// Operators that move elements, and elementwise ones, in the forms of each opset.
#include <gtest/gtest.h>

#include <limits>

#include "tests/onnx/test_model.h"

namespace wsi {
namespace {

TestModel WithInput(int64_t opset, std::initializer_list<int64_t> sizes = {2, 6, 4, 4}) {
  TestModel model(opset);
  model.Input("x", sizes).Output("y");
  return model;
}

TEST(CanonicalData, SliceBoundsAreAttributesThenOperands) {
  const std::string expected =
      "%y : f32[2,2,4,3] = Slice(%x) {axes=[1, 3], ends=[3, 4], starts=[1, 1], steps=[1, 1]}\n";
  EXPECT_EQ(
      ImportNodes(WithInput(9).Node(
          "Slice", {"x"}, {"y"}, {A("starts", {1, -3}), A("ends", {3, 1000}), A("axes", {1, 3})})),
      expected);
  EXPECT_EQ(ImportNodes(WithInput(13)
                            .Constant("s", Ints({2}, {1, -3}))
                            .Constant("e", Ints({2}, {3, std::numeric_limits<int64_t>::max()}))
                            .Constant("a", Ints({2}, {1, -1}))
                            .Node("Slice", {"x", "s", "e", "a"}, {"y"})),
            expected);
}

TEST(CanonicalData, SliceBackwards) {
  constexpr int64_t kLowest = std::numeric_limits<int64_t>::min();
  EXPECT_EQ(ImportNodes(WithInput(13)
                            .Constant("s", Ints({1}, {-1}))
                            .Constant("e", Ints({1}, {kLowest}))
                            .Constant("a", Ints({1}, {1}))
                            .Constant("t", Ints({1}, {-2}))
                            .Node("Slice", {"x", "s", "e", "a", "t"}, {"y"})),
            "%y : f32[2,3,4,4] = Slice(%x) {axes=[1], ends=[-1], starts=[5], steps=[-2]}\n");
}

TEST(CanonicalData, SplitBecomesSlices) {
  const std::string expected =
      "%a : f32[2,2,4,4] = Slice(%x) {axes=[1], ends=[2], starts=[0], steps=[1]}\n"
      "%b : f32[2,4,4,4] = Slice(%x) {axes=[1], ends=[6], starts=[2], steps=[1]}\n"
      "%y : f32[2,6,4,4] = Concat(%b, %a) {axis=1}\n";
  EXPECT_EQ(ImportNodes(WithInput(11)
                            .Node("Split", {"x"}, {"a", "b"}, {A("axis", 1), A("split", {2, 4})})
                            .Node("Concat", {"b", "a"}, {"y"}, {A("axis", -3)})),
            expected);
  EXPECT_EQ(ImportNodes(WithInput(13)
                            .Constant("s", Ints({2}, {2, 4}))
                            .Node("Split", {"x", "s"}, {"a", "b"}, {A("axis", 1)})
                            .Node("Concat", {"b", "a"}, {"y"}, {A("axis", 1)})),
            expected);
}

TEST(CanonicalData, SplitOfOpset18MayEndWithASmallerPart) {
  EXPECT_EQ(ImportNodes(WithInput(18, {7}).Node("Split", {"x"}, {"a", "y"}, {A("num_outputs", 2)})),
            "%y : f32[3] = Slice(%x) {axes=[0], ends=[7], starts=[4], steps=[1]}\n");
  EXPECT_EQ(ImportNodes(WithInput(13, {7}).Node("Split", {"x"}, {"a", "y"})),
            "error: 1 problem: Split 'a': 7 does not split into 2 equal parts");
}

TEST(CanonicalData, PadFormsAndCropping) {
  EXPECT_EQ(
      ImportNodes(WithInput(10, {2, 3})
                      .Node("Pad", {"x"}, {"y"}, {A("pads", {0, 1, 0, 2}), A("value", 1.5F)})),
      "%y : f32[2,6] = Pad(%x) {pads=[0, 1, 0, 2], value=1.5}\n");
  EXPECT_EQ(ImportNodes(WithInput(18, {2, 3})
                            .Constant("p", Ints({2}, {1, -1}))
                            .Constant("a", Ints({1}, {-1}))
                            .Node("Pad", {"x", "p", "", "a"}, {"y"})),
            "%y/Slice : f32[2,2] = Slice(%x) {axes=[1], ends=[2], starts=[0], steps=[1]}\n"
            "%y : f32[2,3] = Pad(%y/Slice) {pads=[0, 1, 0, 0], value=0.0}\n");
  EXPECT_EQ(ImportNodes(WithInput(11, {2, 3})
                            .Constant("p", Ints({4}, {0, 1, 0, 1}))
                            .Node("Pad", {"x", "p"}, {"y"}, {A("mode", "mirror")})),
            "error: 1 problem: Pad 'y': mode is 'mirror'; allowed are constant, edge, reflect and "
            "wrap");
  EXPECT_EQ(ImportNodes(WithInput(11, {2, 3})
                            .Constant("p", Ints({4}, {0, 1, 0, 1}))
                            .Node("Pad", {"x", "p"}, {"y"}, {A("mode", "reflect")})),
            "%y : f32[2,5] = Gather(%x, %y/source) {axis=1}\n");
}

TEST(CanonicalData, TransposeDefaultsToReversed) {
  EXPECT_EQ(ImportNodes(WithInput(13, {2, 3, 4}).Node("Transpose", {"x"}, {"y"})),
            "%y : f32[4,3,2] = Transpose(%x) {perm=[2, 1, 0]}\n");
}

TEST(CanonicalData, ClipLimitsAreAttributesThenOperands) {
  EXPECT_EQ(
      ImportNodes(WithInput(10, {2}).Node("Clip", {"x"}, {"y"}, {A("min", 0.0F), A("max", 6.0F)})),
      "%y : f32[2] = Clip(%x) {max=6.0, min=0.0}\n");
  EXPECT_EQ(ImportNodes(WithInput(13, {2})
                            .Initializer(Floats({}, {6}, "hi"))
                            .Node("Clip", {"x", "", "hi"}, {"y"})),
            "%y : f32[2] = Clip(%x) {max=6.0, min=-inf}\n");
}

TEST(CanonicalData, SumAndMeanSplitIntoPairs) {
  EXPECT_EQ(ImportNodes(WithInput(13, {2}).Node("Sum", {"x", "x", "x"}, {"y"})),
            "%y/Add : f32[2] = Add(%x, %x)\n"
            "%y : f32[2] = Add(%y/Add, %x)\n");
  EXPECT_EQ(ImportNodes(WithInput(13, {2}).Node("Mean", {"x", "x"}, {"y"})),
            "%y/Add : f32[2] = Add(%x, %x)\n"
            "%y : f32[2] = Mul(%y/Add, %y/factor)\n");
  EXPECT_EQ(ImportNodes(WithInput(13, {2}).Node("Max", {"x", "x", "x"}, {"y"})),
            "%y/Max : f32[2] = Max(%x, %x)\n"
            "%y : f32[2] = Max(%y/Max, %x)\n");
}

TEST(CanonicalData, CastsNameTheirType) {
  EXPECT_EQ(ImportNodes(WithInput(13, {2}).Node("Cast", {"x"}, {"y"}, {A("to", 7)})),
            "%y : i64[2] = Cast(%x) {to=\"i64\"}\n");
  EXPECT_EQ(ImportNodes(WithInput(19, {2})
                            .Input("h", {2}, onnx::TensorProto::FLOAT16)
                            .Node("CastLike", {"x", "h"}, {"y"})),
            "%y : f16[2] = Cast(%x) {to=\"f16\"}\n");
  EXPECT_EQ(ImportNodes(WithInput(13, {2}).Node("Cast", {"x"}, {"y"}, {A("to", 14)})),
            "error: 1 problem: Cast 'y': element type COMPLEX64 is not supported (float, double, "
            "float16, bfloat16, integers of 8 to 64 bits and bool are)");
}

TEST(CanonicalData, PowCastsTheExponent) {
  EXPECT_EQ(ImportNodes(
                WithInput(15, {2}).Constant("two", Ints({}, {2})).Node("Pow", {"x", "two"}, {"y"})),
            "%y : f32[2] = Pow(%x, %y/Cast)\n");
}

TEST(CanonicalData, GemmAttributesAreExplicit) {
  EXPECT_EQ(ImportNodes(WithInput(13, {2, 3})
                            .Initializer(Zeros({5, 3}, "w"))
                            .Node("Gemm", {"x", "w"}, {"y"}, {A("transB", 1)})),
            "%y : f32[2,5] = Gemm(%x, %w) {alpha=1.0, beta=1.0, transA=0, transB=1}\n");
}

TEST(CanonicalData, UnknownAttributesAreRefused) {
  EXPECT_EQ(ImportNodes(WithInput(13, {2, 3}).Node("Flatten", {"x"}, {"y"}, {A("axes", 1)})),
            "error: 1 problem: Flatten 'y': attribute axes is not known to opset 13");
}

}  // namespace
}  // namespace wsi
