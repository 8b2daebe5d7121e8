#include "runtime/calibrate/fit_rates.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace wsi {
namespace {

LaunchSample Sample(const std::string& op, double flops, double bytes, double seconds) {
  return {.op = op, .flops = flops, .bytes = bytes, .seconds = seconds};
}

LaunchSample Matrix(const std::string& op, double flops, double bytes, double seconds) {
  LaunchSample sample = Sample(op, flops, bytes, seconds);
  sample.matrix = true;
  return sample;
}

TEST(FitRoofline, FindsTheRatesThatMadeTheTimes) {
  std::vector<LaunchSample> samples;
  for (const double flops : {1e3, 1e4, 1e5, 1e6}) {
    for (const double bytes : {1e2, 1e3, 1e4}) {
      samples.push_back(Matrix("Conv", flops, bytes, std::max(flops / 500, bytes / 20)));
    }
  }
  const Roofline rates = FitRoofline(samples);
  EXPECT_DOUBLE_EQ(rates.flop_rate, 500);
  EXPECT_DOUBLE_EQ(rates.memory_rate, 20);
}

TEST(FitRoofline, PredictsTheSumOfScatteredTimes) {
  std::vector<LaunchSample> samples;
  for (int i = 1; i <= 20; ++i) {
    const double noise = i % 2 == 0 ? 1.1 : 0.9;
    samples.push_back(Matrix("Conv", 100.0 * i, 1, noise * i));
  }
  const Roofline rates = FitRoofline(samples);
  EXPECT_NEAR(rates.flop_rate, 100, 5);
}

TEST(FitRoofline, AWorkThatThereIsNotCostsNothing) {
  const std::vector<LaunchSample> samples = {Sample("Cast", 0, 100, 2), Sample("Cast", 0, 300, 6)};
  EXPECT_DOUBLE_EQ(FitRoofline(samples).memory_rate, 50);
  EXPECT_EQ(FitRoofline(samples).flop_rate, 0);
}

TEST(FitOperators, RatesHaveFourDigits) {
  EXPECT_DOUBLE_EQ(RoundedRate(381329113202.3), 381300000000.0);
  EXPECT_DOUBLE_EQ(RoundedRate(0.99996), 1);
  EXPECT_EQ(RoundedRate(0), 0);
}

TEST(FitOperators, KeepsMatrixHalfAndOtherWorkApart) {
  std::vector<LaunchSample> samples = {
      Matrix("Conv", 1000, 1, 1),  // 1000 flops a second.
      Matrix("Conv", 4000, 1, 1),  // 4000 in half precision.
      Sample("Conv", 10, 1, 1),    // 10 depthwise.
      Sample("Add", 5, 60, 1),    Sample("Mul", 20, 80, 1),
  };
  samples[1].half = true;
  plan::Rates rates;
  FitOperators(samples, &rates);
  const plan::OperatorRate& conv = rates.operators().at("Conv");
  EXPECT_EQ(conv.flops_fp32(), 1000);
  EXPECT_EQ(conv.flops_half(), 4000);
  EXPECT_EQ(conv.vector_flops(), 10);
  EXPECT_EQ(rates.operators().at("Mul").memory_bytes(), 80);
  EXPECT_EQ(rates.matrix_flops_fp32(), 1000);
  EXPECT_EQ(rates.matrix_flops_half(), 4000);
  EXPECT_EQ(rates.memory_bytes(), 60);
  EXPECT_EQ(rates.vector_flops(), 20);  // The fastest.
}

TEST(FitOperators, HalfThatWasNotMeasuredIsLeftOut) {
  plan::Rates rates;
  FitOperators(std::vector{Matrix("Conv", 1000, 1, 1), Sample("Add", 5, 60, 1)}, &rates);
  EXPECT_EQ(rates.matrix_flops_half(), 0);
  EXPECT_EQ(rates.operators().at("Conv").flops_half(), 0);
}

}  // namespace
}  // namespace wsi
