#include "runtime/base/tensor.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

namespace wsi {
namespace {

TEST(Tensor, StartsAtZeroAndClones) {
  Tensor tensor = Tensor::Make(DType::kF32, {2, 3}).value();
  EXPECT_EQ(tensor.ToDoubles(), std::vector<double>(6, 0.0));
  tensor.data<float>()[4] = 2.5F;
  const Tensor copy = tensor.Clone().value();
  EXPECT_EQ(copy, tensor);
  tensor.data<float>()[4] = 0;
  EXPECT_FALSE(copy == tensor);
}

TEST(Tensor, PermuteUndoneByItsInverse) {
  Tensor tensor = Tensor::Make(DType::kI32, {2, 3, 4}).value();
  for (size_t i = 0; i < 24; ++i) tensor.data<int32_t>()[i] = static_cast<int32_t>(i);
  const Tensor turned = tensor.Permute(std::vector<int64_t>{2, 0, 1}).value();
  EXPECT_EQ(turned.shape(), (Shape{4, 2, 3}));
  EXPECT_EQ(turned.data<int32_t>()[1 * 6 + 1 * 3 + 2], 1 * 12 + 2 * 4 + 1);
  EXPECT_EQ(turned.Permute(std::vector<int64_t>{1, 2, 0}).value(), tensor);
}

TEST(Tensor, CastRoundsAndSaturates) {
  const std::vector<double> values = {1.5, -3.0, 1e10, -1e10, 300};
  const Tensor tensor = Tensor::Of<double>({5}, values);
  EXPECT_EQ(tensor.Cast(DType::kI32).value().ToInts(),
            (std::vector<int64_t>{1, -3, 2147483647, -2147483648LL, 300}));
  EXPECT_EQ(tensor.Cast(DType::kU8).value().ToInts(), (std::vector<int64_t>{1, 0, 255, 0, 255}));
  EXPECT_EQ(tensor.Cast(DType::kBool).value().ToInts(), (std::vector<int64_t>{1, 1, 1, 1, 1}));
  EXPECT_TRUE(std::isinf(tensor.Cast(DType::kF16).value().ToDoubles()[2]));
}

TEST(Tensor, UnsignedIntegersOf64BitsAreExact) {
  const std::vector<uint64_t> values = {0, uint64_t{1} << 63, ~uint64_t{0}};
  const Tensor tensor = Tensor::Of<uint64_t>({3}, values);
  constexpr int64_t kLargest = std::numeric_limits<int64_t>::max();
  EXPECT_EQ(tensor.ToInts(), (std::vector<int64_t>{0, kLargest, kLargest}));
  EXPECT_EQ(tensor.ToDoubles()[1], 0x1p63);
  EXPECT_EQ(tensor.Cast(DType::kU16).value().ToInts(), (std::vector<int64_t>{0, 65535, 65535}));
  const Tensor numbers = Tensor::Of<double>({3}, std::vector<double>{-1, 0x1p63, 1e30});
  EXPECT_EQ(numbers.Cast(DType::kU64).value(), tensor);
}

TEST(Half, EveryBitPatternRoundTrips) {
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    const auto h = static_cast<uint16_t>(bits);
    const float half = HalfToFloat(h);
    const float brain = BFloat16ToFloat(h);
    if (!std::isnan(half)) {
      EXPECT_EQ(FloatToHalf(half), h);
    } else {
      EXPECT_TRUE(std::isnan(HalfToFloat(FloatToHalf(half))));
    }
    if (!std::isnan(brain)) {
      EXPECT_EQ(FloatToBFloat16(brain), h);
    } else {
      EXPECT_TRUE(std::isnan(BFloat16ToFloat(FloatToBFloat16(brain))));
    }
  }
}

TEST(Half, RoundsToNearestEven) {
  EXPECT_EQ(HalfToFloat(FloatToHalf(1.0F + 0x1p-11F)), 1.0F);            // Tie: down to even.
  EXPECT_EQ(HalfToFloat(FloatToHalf(1.0F + 0x3p-11F)), 1.0F + 0x1p-9F);  // Tie: up to even.
  EXPECT_EQ(HalfToFloat(FloatToHalf(65519.0F)), 65504.0F);
  EXPECT_TRUE(std::isinf(HalfToFloat(FloatToHalf(65520.0F))));
  EXPECT_EQ(HalfToFloat(FloatToHalf(0x1p-25F)), 0.0F);
  EXPECT_EQ(HalfToFloat(FloatToHalf(0x3p-25F)), 0x1p-23F);
  EXPECT_EQ(BFloat16ToFloat(FloatToBFloat16(1.0F + 0x1p-8F)), 1.0F);
}

}  // namespace
}  // namespace wsi
