// Numbers that floats stand for.
#include "frontends/onnx/meant_number.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>

namespace wsi {
namespace {

TEST(MeantNumber, SimpleNumbersComeBackExactly) {
  for (const double number :
       {0.0, 1.0, -0.1, 1e-3, 1e-5, 0.044715, 123456.0, 1e-12, 1.0 / 6, -5.0 / 7, std::sqrt(2.0),
        1 / std::sqrt(2.0), -1 / std::sqrt(32.0), std::sqrt(1000.0)}) {
    EXPECT_EQ(MeantNumber(static_cast<float>(number)), number);
  }
}

TEST(MeantNumber, OthersStayWhatTheyAre) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  for (const float number : {0.797884583F, 3.14159274F, kInfinity, -kInfinity,
                             std::numeric_limits<float>::max(), 1.2345678e35F}) {
    EXPECT_EQ(MeantNumber(number), static_cast<double>(number));
  }
  EXPECT_TRUE(std::isnan(MeantNumber(std::numeric_limits<float>::quiet_NaN())));
}

TEST(MeantNumber, IsTheSameFloat) {
  std::mt19937 random(1);
  std::uniform_int_distribution<uint32_t> bits;
  for (int i = 0; i < 100'000; ++i) {
    const float stored = std::bit_cast<float>(bits(random));
    if (std::isnan(stored)) continue;
    ASSERT_EQ(static_cast<float>(MeantNumber(stored)), stored);
  }
}

}  // namespace
}  // namespace wsi
