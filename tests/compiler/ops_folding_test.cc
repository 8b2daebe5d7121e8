// Folded constants against values worked out by hand.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>

#include "compiler/ops/movement.h"
#include "compiler/ops/slicing.h"
#include "tests/compiler/op_fixture.h"

namespace wsi {
namespace {

using testing::HasSubstr;
using I = std::vector<int64_t>;
constexpr int64_t kLowest = std::numeric_limits<int64_t>::min();

std::string BinaryInts(const std::string& op, I a, I b, Attributes attributes = {}) {
  const Tensor x = Ints({static_cast<int64_t>(a.size())}, a);
  const Tensor y = Ints({static_cast<int64_t>(b.size())}, b);
  return FoldedInts(op, {&x, &y}, std::move(attributes));
}

std::string BinaryFloats(const std::string& op, std::vector<float> a, std::vector<float> b) {
  const Tensor x = Floats({static_cast<int64_t>(a.size())}, a);
  const Tensor y = Floats({static_cast<int64_t>(b.size())}, b);
  return FoldedDoubles(op, {&x, &y});
}

TEST(FoldIntegers, AreExact) {
  EXPECT_EQ(BinaryInts("Add", {(int64_t{1} << 53) + 1}, {1}), "i64: 9007199254740994");
  EXPECT_EQ(BinaryInts("Sub", {5, 7}, {3}), "i64: 2 4");
  EXPECT_EQ(BinaryInts("Mul", {3, -4}, {5, 6}), "i64: 15 -24");
  EXPECT_EQ(BinaryInts("Div", {7, -7, 7, -7}, {2, 2, -2, -2}), "i64: 3 -3 -3 3");
  EXPECT_EQ(BinaryInts("Mod", {7, -7, 7, -7}, {3, 3, -3, -3}), "i64: 1 2 -2 -1");
  EXPECT_EQ(BinaryInts("Mod", {7, -7, 7, -7}, {3, 3, -3, -3}, {{"fmod", int64_t{1}}}),
            "i64: 1 -1 1 -1");
  EXPECT_EQ(BinaryInts("Pow", {2, -3, -1, 0}, {10, 3, -5, 0}), "i64: 1024 -27 -1 1");
  EXPECT_EQ(BinaryInts("Max", {1, 9}, {5}), "i64: 5 9");
  EXPECT_EQ(BinaryInts("Min", {1, 9}, {5}), "i64: 1 5");
}

TEST(FoldIntegers, RejectWhatHasNoValue) {
  EXPECT_THAT(BinaryInts("Div", {1}, {0}), HasSubstr("by zero"));
  EXPECT_THAT(BinaryInts("Mod", {1}, {0}), HasSubstr("by zero"));
  EXPECT_THAT(BinaryInts("Div", {kLowest}, {-1}), HasSubstr("overflows"));
  EXPECT_EQ(BinaryInts("Mod", {kLowest}, {-1}), "i64: 0");
  EXPECT_THAT(BinaryInts("Add", {kLowest}, {-1}), HasSubstr("overflows"));
  EXPECT_THAT(BinaryInts("Sub", {0}, {kLowest}), HasSubstr("overflows"));
  EXPECT_THAT(BinaryInts("Pow", {2}, {64}), HasSubstr("overflows"));
  EXPECT_THAT(BinaryInts("Pow", {2}, {-1}), HasSubstr("no integer"));
  const Tensor lowest = Ints({1}, {kLowest});
  EXPECT_THAT(FoldedInts("Neg", {&lowest}), HasSubstr("overflows"));
}

TEST(FoldFloats, RoundOnce) {
  EXPECT_EQ(BinaryFloats("Add", {1, 0.5F}, {2}), "f32: 3 2.5");
  EXPECT_EQ(BinaryFloats("Div", {1}, {4}), "f32: 0.25");
  EXPECT_EQ(BinaryFloats("Pow", {2, 9}, {-1, 0.5F}), "f32: 0.5 3");
  EXPECT_EQ(BinaryFloats("Max", {1, NAN}, {2}), "f32: 2 nan");
  EXPECT_EQ(BinaryFloats("Min", {1, NAN}, {2}), "f32: 1 nan");
  EXPECT_EQ(BinaryFloats("Add", {16777216}, {1}), "f32: 16777216");
}

TEST(FoldUnary, Values) {
  const Tensor x = Floats({4}, {-2.5F, -0.25F, 0.25F, 4});
  EXPECT_EQ(FoldedDoubles("Neg", {&x}), "f32: 2.5 0.25 -0.25 -4");
  EXPECT_EQ(FoldedDoubles("Abs", {&x}), "f32: 2.5 0.25 0.25 4");
  EXPECT_EQ(FoldedDoubles("Floor", {&x}), "f32: -3 -1 0 4");
  EXPECT_EQ(FoldedDoubles("Ceil", {&x}), "f32: -2 -0 1 4");
  EXPECT_EQ(FoldedDoubles("Relu", {&x}), "f32: 0 0 0.25 4");
  EXPECT_EQ(FoldedDoubles("Clip", {&x}, {{"min", -1.0}, {"max", 1.0}}), "f32: -1 -0.25 0.25 1");
  EXPECT_EQ(FoldedInts("Cast", {&x}, {{"to", std::string("i32")}}), "i32: -2 0 0 4");
  const Tensor roots = Floats({2}, {4, 2.25F});
  EXPECT_EQ(FoldedDoubles("Sqrt", {&roots}), "f32: 2 1.5");
  const Tensor truth = Tensor::Of<bool>({2}, std::array{true, false});
  EXPECT_EQ(FoldedInts("Not", {&truth}), "bool: 0 1");
}

TEST(FoldComparisons, Values) {
  EXPECT_EQ(BinaryInts("Equal", {1, 2}, {2}), "bool: 0 1");
  EXPECT_EQ(BinaryInts("Less", {1, 2}, {2}), "bool: 1 0");
  EXPECT_EQ(BinaryFloats("Greater", {1, 3, NAN}, {2}).substr(0, 5), "bool:");
  const Tensor choose = Tensor::Of<bool>({2, 1}, std::array{true, false});
  const Tensor a = Ints({2}, {1, 2});
  const Tensor b = Ints({1}, {7});
  EXPECT_EQ(FoldedInts("Where", {&choose, &a, &b}), "i64: 1 2 7 7");
  const Tensor p = Tensor::Of<bool>({4}, std::array{true, true, false, false});
  const Tensor q = Tensor::Of<bool>({4}, std::array{true, false, true, false});
  EXPECT_EQ(FoldedInts("And", {&p, &q}), "bool: 1 0 0 0");
  EXPECT_EQ(FoldedInts("Or", {&p, &q}), "bool: 1 1 1 0");
}

TEST(FoldShape, UsesTypesOnly) {
  OneNode one("Shape", {F32({2, 3, 5, 7})}, {{"start", int64_t{1}}, {"end", int64_t{-1}}});
  ASSERT_TRUE(InferTypes(one.graph(), one.node()).ok());
  const Tensor* unknown = nullptr;
  const auto shape = FindOp("Shape")->fold(one.view(), std::span(&unknown, 1));
  ASSERT_TRUE(shape.ok());
  EXPECT_EQ((*shape)[0], Ints({2}, {3, 5}));
  OneNode size("Size", {F32({2, 3, 5, 7})});
  ASSERT_TRUE(InferTypes(size.graph(), size.node()).ok());
  EXPECT_EQ((*FindOp("Size")->fold(size.view(), std::span(&unknown, 1)))[0], Ints({}, {210}));
}

TEST(FoldMovement, Values) {
  const Tensor x = Ints({2, 3}, {1, 2, 3, 4, 5, 6});
  const Tensor y = Ints({2, 1}, {7, 8});
  EXPECT_EQ(FoldedInts("Concat", {&x, &y}, {{"axis", int64_t{1}}}), "i64: 1 2 3 7 4 5 6 8");
  EXPECT_EQ(FoldedInts("Transpose", {&x}, {{"perm", I{1, 0}}}), "i64: 1 4 2 5 3 6");
  EXPECT_EQ(FoldedInts("Expand", {&y}, {{"shape", I{2, 2}}}), "i64: 7 7 8 8");
  EXPECT_EQ(FoldedInts("Reshape", {&x}, {{"shape", I{6}}}), "i64: 1 2 3 4 5 6");
  EXPECT_EQ(FoldedInts("Pad", {&y}, {{"pads", I{0, 1, 1, 0}}, {"value", 9.0}}), "i64: 9 7 9 8 9 9");
  const Tensor indices = Ints({2}, {-1, 0});
  EXPECT_EQ(FoldedInts("Gather", {&x, &indices}, {{"axis", int64_t{1}}}), "i64: 3 1 6 4");
  EXPECT_EQ(FoldedInts("Gather", {&x, &indices}, {{"axis", int64_t{0}}}), "i64: 4 5 6 1 2 3");
  const Tensor outside = Ints({1}, {3});
  EXPECT_THAT(FoldedInts("Gather", {&x, &outside}, {{"axis", int64_t{1}}}),
              HasSubstr("index 3 is outside axis 1"));
}

TEST(FoldReductions, Values) {
  const Tensor x = Ints({2, 3}, {1, 2, 3, 4, 5, 6});
  const Attributes columns = {{"axes", I{0}}, {"keepdims", int64_t{0}}};
  EXPECT_EQ(FoldedInts("ReduceSum", {&x}, columns), "i64: 5 7 9");
  EXPECT_EQ(FoldedInts("ReduceProd", {&x}, {{"axes", I{0, 1}}}), "i64: 720");
  EXPECT_EQ(FoldedInts("ReduceMax", {&x}, {{"axes", I{1}}}), "i64: 3 6");
  EXPECT_EQ(FoldedInts("ReduceMin", {&x}, {{"axes", I{1}}}), "i64: 1 4");
  const Tensor f = Floats({2, 2}, {1, 2, 3, 5});
  EXPECT_EQ(FoldedDoubles("ReduceMean", {&f}, {{"axes", I{1}}}), "f32: 1.5 4");
  const Tensor none = Ints({0}, {});
  EXPECT_EQ(FoldedInts("ReduceSum", {&none}, {{"axes", I{0}}}), "i64: 0");
  EXPECT_THAT(FoldedInts("ReduceMax", {&none}, {{"axes", I{0}}}), HasSubstr("no elements"));
}

TEST(FoldMade, Values) {
  const std::string i64 = "i64", f32 = "f32";
  EXPECT_EQ(
      FoldedInts("ConstantOfShape", {}, {{"value", int64_t{5}}, {"shape", I{3}}, {"dtype", i64}}),
      "i64: 5 5 5");
  EXPECT_EQ(
      FoldedInts(
          "Range", {},
          {{"start", int64_t{7}}, {"limit", int64_t{0}}, {"delta", int64_t{-3}}, {"dtype", i64}}),
      "i64: 7 4 1");
  EXPECT_EQ(
      FoldedDoubles("Range", {}, {{"start", 0.0}, {"limit", 1.0}, {"delta", 0.25}, {"dtype", f32}}),
      "f32: 0 0.25 0.5 0.75");
  const Tensor x = Floats({2}, {1.5F, 2});
  const Tensor like = Ints({}, {0});
  EXPECT_EQ(FoldedInts("CastLike", {&x, &like}), "i64: 1 2");
}

// What ONNX's bounds select of 0 1 2 3 4.
std::string Sliced(int64_t start, int64_t end, int64_t step) {
  const Tensor x = Ints({5}, {0, 1, 2, 3, 4});
  const I starts = {start}, ends = {end}, axes = {-1}, steps = {step};
  const auto attributes = NormalizeSlice(x.shape(), starts, ends, axes, steps);
  return attributes.ok() ? FoldedInts("Slice", {&x}, *attributes) : attributes.status().message();
}

TEST(NormalizeSlice, BringsBoundsIntoRange) {
  constexpr int64_t kHighest = std::numeric_limits<int64_t>::max();
  EXPECT_EQ(Sliced(1, 4, 1), "i64: 1 2 3");
  EXPECT_EQ(Sliced(-2, kHighest, 1), "i64: 3 4");
  EXPECT_EQ(Sliced(0, kHighest, 3), "i64: 0 3");
  EXPECT_EQ(Sliced(-1, kLowest, -1), "i64: 4 3 2 1 0");
  EXPECT_EQ(Sliced(kHighest, -4, -2), "i64: 4 2");
  EXPECT_EQ(Sliced(4, 1, 1), "i64: ");
  EXPECT_EQ(Sliced(0, 5, kHighest), "i64: 0");
  EXPECT_EQ(Sliced(4, kLowest, kLowest), "i64: 4");
  EXPECT_THAT(Sliced(0, 5, 0), HasSubstr("step of axis 0 is 0"));
}

TEST(NormalizeSlice, OfAnEmptyAxisIsCanonical) {
  for (const int64_t step : {1, -1}) {
    const I starts = {0}, ends = {9}, axes = {}, steps = {step};
    const auto attributes = NormalizeSlice({0}, starts, ends, axes, steps);
    ASSERT_TRUE(attributes.ok());
    EXPECT_EQ(InferredShape("Slice", {F32({0})}, *attributes), "[0]");
  }
}

TEST(ResolveReshape, InfersAndCopies) {
  const auto resolved = [](I requested, bool allow_zero = false) {
    const auto shape = ResolveReshape({2, 3, 4}, requested, allow_zero);
    return shape.ok() ? shape->ToString() : shape.status().message();
  };
  EXPECT_EQ(resolved({0, -1}), "[2,12]");
  EXPECT_EQ(resolved({-1}), "[24]");
  EXPECT_EQ(resolved({4, 3, 2}), "[4,3,2]");
  EXPECT_THAT(resolved({-1, -1}), HasSubstr("more than one -1"));
  EXPECT_THAT(resolved({5, -1}), HasSubstr("cannot be divided"));
  EXPECT_THAT(resolved({0, -1}, true), HasSubstr("cannot be divided"));
  EXPECT_THAT(resolved({1, 1, 1, 0}), HasSubstr("copies axis 3"));
  EXPECT_THAT(resolved({-2, 12}), HasSubstr("size -2"));
  EXPECT_THAT(resolved({5}), HasSubstr("cannot become"));
}

}  // namespace
}  // namespace wsi
