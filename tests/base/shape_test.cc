#include "runtime/base/shape.h"

#include <gtest/gtest.h>

#include <vector>

namespace wsi {
namespace {

TEST(Shape, RefusesWhatDoesNotFit) {
  EXPECT_FALSE(Shape::Make(std::vector<int64_t>{-1}).ok());
  EXPECT_FALSE(Shape::Make(std::vector<int64_t>(17, 1)).ok());
  EXPECT_FALSE(Shape::Make(std::vector<int64_t>{int64_t{1} << 31, int64_t{1} << 31}).ok());
  // A zero does not hide an overflow beside it.
  EXPECT_FALSE(Shape::Make(std::vector<int64_t>{0, int64_t{1} << 62, 4}).ok());
  EXPECT_EQ(Shape::Make(std::vector<int64_t>{0, 5}).value().ElementCount(), 0);
}

TEST(Shape, CountsAndPrints) {
  const Shape map = {1, 20000, 20000, 64};
  EXPECT_EQ(map.ByteCount(DType::kF32), 102'400'000'000);
  EXPECT_EQ(map[-1], 64);
  EXPECT_EQ(map.ToString(), "[1,20000,20000,64]");
  EXPECT_EQ(Shape{}.ElementCount(), 1);
}

TEST(Shape, Broadcasts) {
  EXPECT_EQ(BroadcastShapes({2, 1, 3}, {4, 1}).value(), (Shape{2, 4, 3}));
  EXPECT_EQ(BroadcastShapes({}, {5}).value(), (Shape{5}));
  EXPECT_EQ(BroadcastShapes({0}, {1}).value(), (Shape{0}));
  EXPECT_FALSE(BroadcastShapes({2}, {3}).ok());
}

TEST(Shape, NormalizesAxesAndPermutes) {
  EXPECT_EQ(NormalizeAxis(-1, 4).value(), 3);
  EXPECT_FALSE(NormalizeAxis(4, 4).ok());
  EXPECT_EQ(PermuteShape({1, 3, 5, 7}, std::vector<int64_t>{0, 2, 3, 1}), (Shape{1, 5, 7, 3}));
}

TEST(DType, NamesAndNumbersRoundTrip) {
  for (int64_t n = 1; n <= 9; ++n) {
    const DType dtype = DTypeFromNumber(n).value();
    EXPECT_EQ(ParseDType(DTypeName(dtype)).value(), dtype);
  }
  EXPECT_FALSE(DTypeFromNumber(0).ok());
  EXPECT_FALSE(DTypeFromNumber(14).ok());
}

}  // namespace
}  // namespace wsi
