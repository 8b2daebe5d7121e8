// The vector code's elementary functions against the C library in fp64, over all sizes of
// numbers.
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include "runtime/backends/cpu/pointwise.h"

namespace wsi::cpu {
namespace {

struct Function {
  const char* op;
  double (*exact)(double);
  float low;
  float high;
  double units;  // In the last place.
};

void PrintTo(const Function& function, std::ostream* out) { *out << function.op; }

class VectorMath : public testing::TestWithParam<Function> {
 protected:
  static std::vector<float> Evaluate(const char* op, const std::vector<float>& x) {
    std::vector<float> y(x.size());
    FindUnaryLoop<float>(op)(x.data(), static_cast<int64_t>(x.size()), {.a = 1.0F, .b = 0.0F},
                             y.data());
    return y;
  }
};

double UnitAt(double value) {
  constexpr double kSmallest = std::numeric_limits<float>::denorm_min();
  if (std::abs(value) < std::numeric_limits<float>::min()) return kSmallest;
  return std::ldexp(1.0, std::ilogb(value) - 23);
}

TEST_P(VectorMath, StaysWithinItsUnits) {
  const Function& function = GetParam();
  std::vector<float> x;
  for (uint64_t bits = 0; bits <= std::numeric_limits<uint32_t>::max(); bits += 1009) {
    const auto value = std::bit_cast<float>(static_cast<uint32_t>(bits));
    if (value >= function.low && value <= function.high) x.push_back(value);
  }
  const std::vector<float> y = Evaluate(function.op, x);
  for (size_t i = 0; i < x.size(); ++i) {
    const double exact = function.exact(static_cast<double>(x[i]));
    const auto nearest = static_cast<float>(exact);
    if (y[i] == nearest) continue;
    ASSERT_LE(std::abs(static_cast<double>(y[i]) - exact), function.units * UnitAt(exact))
        << function.op << " of " << x[i] << ": got " << y[i] << ", wanted " << exact;
  }
}

TEST_P(VectorMath, KeepsNaN) {
  const auto y = Evaluate(GetParam().op, std::vector<float>(40, std::nanf("")));
  EXPECT_TRUE(std::all_of(y.begin(), y.end(), [](float v) { return std::isnan(v); }));
}

constexpr float kLargest = std::numeric_limits<float>::max();

INSTANTIATE_TEST_SUITE_P(
    Functions, VectorMath,
    testing::Values(
        Function{"Exp", [](double x) { return std::exp(x); }, -150, 100, 2},
        Function{"Elu", [](double x) { return x < 0 ? std::expm1(x) : x; }, -150, kLargest, 3},
        Function{"Sigmoid", [](double x) { return 1 / (1 + std::exp(-x)); }, -85, kLargest, 4},
        Function{"Tanh", [](double x) { return std::tanh(x); }, -kLargest, kLargest, 3},
        Function{"Softplus",
                 [](double x) { return std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x))); },
                 -80, kLargest, 5},
        Function{"Log", [](double x) { return std::log(x); }, 0, kLargest, 2},
        Function{"Erf", [](double x) { return std::erf(x); }, -kLargest, kLargest, 4},
        Function{"Gelu", [](double x) { return x / 2 * std::erfc(-x * std::sqrt(0.5)); }, -5,
                 kLargest, 32}),
    [](const auto& test) { return test.param.op; });

TEST(VectorMathTest, EndsAtInfinity) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const auto at = [](const char* op, float x) {
    float y = 0;
    FindUnaryLoop<float>(op)(&x, 1, {}, &y);
    return y;
  };
  EXPECT_EQ(at("Exp", kInfinity), kInfinity);
  EXPECT_EQ(at("Exp", -kInfinity), 0.0F);
  EXPECT_EQ(at("Log", kInfinity), kInfinity);
  EXPECT_EQ(at("Log", 0.0F), -kInfinity);
  EXPECT_TRUE(std::isnan(at("Log", -1.0F)));
  EXPECT_EQ(at("Tanh", -kInfinity), -1.0F);
  EXPECT_EQ(at("Erf", kInfinity), 1.0F);
  EXPECT_EQ(at("Sigmoid", -kInfinity), 0.0F);
}

}  // namespace
}  // namespace wsi::cpu
