#include "models/random.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace wsi {
namespace {

std::vector<float> Normal(uint64_t seed, std::string_view name, size_t size) {
  std::vector<float> values(size);
  WeightRandom(seed, name).FillNormal(1, values);
  return values;
}

// Pins the bytes: a change here changes every model that anybody has written.
TEST(WeightRandom, BytesOfTheFirstNumbers) {
  const std::vector<float> values = Normal(1, "conv1.weight", 4);
  EXPECT_EQ(values,
            (std::vector<float>{-0x1.cd8796p-3F, -0x1.9dd962p+0F, -0x1.8414ap-3F, 0x1.bc873ep-1F}));
}

TEST(WeightRandom, DependsOnSeedNameAndPositionOnly) {
  const std::vector<float> values = Normal(1, "a", 101);
  const std::vector<float> prefix = Normal(1, "a", 7);
  EXPECT_TRUE(std::equal(prefix.begin(), prefix.end(), values.begin()));
  EXPECT_NE(values, Normal(2, "a", 101));
  EXPECT_NE(values, Normal(1, "b", 101));
}

TEST(WeightRandom, NormalHasTheMomentsAndTailsOfOne) {
  const std::vector<float> values = Normal(3, "w", 1'000'000);
  double sum = 0;
  double square = 0;
  double fourth = 0;
  int beyond = 0;
  for (const float value : values) {
    const double v = value;
    sum += v;
    square += v * v;
    fourth += v * v * v * v;
    beyond += std::abs(v) > 2 ? 1 : 0;
  }
  const double n = static_cast<double>(values.size());
  EXPECT_NEAR(sum / n, 0, 0.005);
  EXPECT_NEAR(square / n, 1, 0.007);
  EXPECT_NEAR(fourth / n, 3, 0.06);
  EXPECT_NEAR(beyond / n, std::erfc(std::sqrt(2.0)), 0.001);
}

TEST(WeightRandom, UniformFillsItsRange) {
  std::vector<float> values(100'001);
  WeightRandom(3, "w").FillUniform(0.25, values);
  double sum = 0;
  for (const float value : values) {
    ASSERT_LE(std::abs(value), 0.25F);
    sum += static_cast<double>(value);
  }
  EXPECT_NEAR(sum / 100'001, 0, 0.002);
  EXPECT_GT(*std::max_element(values.begin(), values.end()), 0.249F);
}

}  // namespace
}  // namespace wsi
