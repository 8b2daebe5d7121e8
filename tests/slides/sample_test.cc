// What happens to a sample between decoding and the network.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <vector>

#include "runtime/base/pixels.h"
#include "runtime/base/tensor.h"
#include "runtime/slides/augment.h"
#include "runtime/slides/sample_cache.h"

namespace wsi {
namespace {

std::vector<uint8_t> Counting(size_t count) {
  std::vector<uint8_t> values(count);
  std::iota(values.begin(), values.end(), uint8_t{0});
  return values;
}

template <typename T>
std::vector<T> Normalized(const std::vector<uint8_t>& rgb, DType dtype) {
  std::vector<T> values(rgb.size());
  NormalizePixels(rgb, dtype, std::as_writable_bytes(std::span(values)));
  return values;
}

TEST(NormalizeTest, RoundsAsDivisionDoes) {
  const std::vector<uint8_t> rgb = Counting(3 * 1000);
  const auto single = Normalized<float>(rgb, DType::kF32);
  const auto wide = Normalized<double>(rgb, DType::kF64);
  for (size_t i = 0; i < rgb.size(); ++i) {
    const auto expected = static_cast<float>((static_cast<double>(rgb[i]) - 127.5) / 127.5);
    ASSERT_EQ(single[i], expected);
    ASSERT_EQ(wide[i], expected);
  }
  EXPECT_EQ(single[0], -1);
  EXPECT_EQ(single[255], 1);
}

TEST(NormalizeTest, HalvesAreRoundedOnce) {
  const std::vector<uint8_t> rgb = Counting(3 * 256);
  const auto single = Normalized<float>(rgb, DType::kF32);
  const auto fp16 = Normalized<uint16_t>(rgb, DType::kF16);
  const auto bf16 = Normalized<uint16_t>(rgb, DType::kBF16);
  for (size_t i = 0; i < rgb.size(); ++i) {
    ASSERT_EQ(fp16[i], FloatToHalf(single[i]));
    ASSERT_EQ(bf16[i], FloatToBFloat16(single[i]));
  }
}

TEST(AugmentTest, DrawsDependOnSeedEpochAndRowOnly) {
  const AugmentOptions options{
      .flips = true, .rotations = true, .brightness = 0.3, .contrast = 0.4};
  const auto draw = [&](int64_t seed, int64_t epoch, int64_t row) {
    const Augmentation a = DrawAugmentation(options, seed, epoch, row, true);
    return std::tuple(a.transpose, a.flip_x, a.flip_y, a.brightness, a.contrast);
  };
  EXPECT_EQ(draw(1, 2, 3), draw(1, 2, 3));
  EXPECT_NE(draw(1, 2, 3), draw(2, 2, 3));
  EXPECT_NE(draw(1, 2, 3), draw(1, 3, 3));
  EXPECT_NE(draw(1, 2, 3), draw(1, 2, 4));
}

TEST(AugmentTest, AllEightOrientationsAreEquallyLikely) {
  const AugmentOptions options{.flips = true, .rotations = true};
  std::map<int, int> counts;
  for (int64_t row = 0; row < 8000; ++row) {
    const Augmentation a = DrawAugmentation(options, 7, 0, row, true);
    ++counts[(a.transpose ? 4 : 0) + (a.flip_x ? 2 : 0) + (a.flip_y ? 1 : 0)];
    EXPECT_EQ(a.brightness, 1);
  }
  EXPECT_EQ(counts.size(), 8U);
  for (const auto& [orientation, count] : counts) {
    EXPECT_NEAR(count, 1000, 120) << orientation;
  }
}

TEST(AugmentTest, RotationsAloneAreTheFourTurns) {
  const AugmentOptions options{.rotations = true};
  // Where the corner (0, 0) and its right neighbour go tells a turn from a mirror image.
  std::map<std::vector<uint8_t>, int> seen;
  for (int64_t row = 0; row < 100; ++row) {
    std::vector<uint8_t> image = {1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4};
    ApplyAugmentation(DrawAugmentation(options, 7, 0, row, true), 2, 2, image);
    ++seen[{image[0], image[3], image[6], image[9]}];
  }
  ASSERT_EQ(seen.size(), 4U);
  for (const std::vector<uint8_t>& turn :
       std::vector<std::vector<uint8_t>>{{1, 2, 3, 4}, {3, 1, 4, 2}, {4, 3, 2, 1}, {2, 4, 1, 3}}) {
    EXPECT_GT(seen[turn], 0);
  }
}

TEST(AugmentTest, OblongSamplesAreNeverTransposed) {
  for (int64_t row = 0; row < 100; ++row) {
    EXPECT_FALSE(DrawAugmentation({.rotations = true}, 1, 0, row, false).transpose);
  }
}

TEST(AugmentTest, LargeTranspositionIsExact) {
  constexpr int64_t kSide = 77;
  const std::vector<uint8_t> before = Counting(kSide * kSide * 3);
  std::vector<uint8_t> after = before;
  ApplyAugmentation({.transpose = true, .flip_x = true}, kSide, kSide, after);
  for (int64_t y = 0; y < kSide; ++y) {
    for (int64_t x = 0; x < kSide * 3; ++x) {
      const int64_t column = kSide - 1 - x / 3;
      ASSERT_EQ(after[static_cast<size_t>(y * kSide * 3 + x)],
                before[static_cast<size_t>((column * kSide + y) * 3 + x % 3)]);
    }
  }
}

TEST(AugmentTest, TonesAreChangedAboutMidGrey) {
  std::vector<uint8_t> rgb = {0, 100, 200, 255, 128, 127};
  ApplyAugmentation({.brightness = 1.2F, .contrast = 1.5F}, 1, 2, rgb);
  for (size_t i = 0; i < rgb.size(); ++i) {
    const double from = std::vector<double>{0, 100, 200, 255, 128, 127}[i];
    const double wanted = std::clamp((from * 1.2 - 127.5) * 1.5 + 127.5, 0.0, 255.0);
    EXPECT_NEAR(rgb[i], wanted, 0.51);
  }
  EXPECT_EQ(CheckAugmentOptions({.brightness = 1.0}).code(), ErrorCode::kUsage);
  EXPECT_EQ(CheckAugmentOptions({.contrast = -0.1}).code(), ErrorCode::kUsage);
}

TEST(SampleCacheTest, DropsTheLeastRecentlyUsed) {
  SampleCache cache(25, 10);  // Two samples.
  const std::vector<uint8_t> a(10, 1);
  const std::vector<uint8_t> b(10, 2);
  const std::vector<uint8_t> c(10, 3);
  std::vector<uint8_t> out(10);
  cache.Put(1, a);
  cache.Put(2, b);
  ASSERT_TRUE(cache.Get(1, out));
  EXPECT_EQ(out, a);
  cache.Put(3, c);
  EXPECT_FALSE(cache.Get(2, out));
  EXPECT_TRUE(cache.Get(1, out));
  EXPECT_TRUE(cache.Get(3, out));
  EXPECT_EQ(out, c);
}

TEST(SampleCacheTest, NoBudgetKeepsNothing) {
  SampleCache cache(9, 10);
  const std::vector<uint8_t> a(10, 1);
  std::vector<uint8_t> out(10);
  cache.Put(1, a);
  EXPECT_FALSE(cache.Get(1, out));
}

}  // namespace
}  // namespace wsi
