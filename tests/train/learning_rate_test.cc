#include "runtime/train/learning_rate.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace wsi {
namespace {

TEST(LearningRate, ConstantStaysAtTheBase) {
  const LearningRate rate({.base_rate = 0.25, .steps_per_epoch = 3});
  EXPECT_EQ(rate.At(0), 0.25);
  EXPECT_EQ(rate.At(1000), 0.25);
}

TEST(LearningRate, StepMultipliesAfterEverySoManyEpochs) {
  const LearningRate rate({.kind = ScheduleKind::kStep,
                           .base_rate = 1,
                           .factor = 0.5,
                           .step_epochs = 2,
                           .steps_per_epoch = 10});
  EXPECT_EQ(rate.At(0), 1);
  EXPECT_EQ(rate.At(19), 1);
  EXPECT_EQ(rate.At(20), 0.5);
  EXPECT_EQ(rate.At(39), 0.5);
  EXPECT_EQ(rate.At(60), 0.125);
}

TEST(LearningRate, CosineFallsToZero) {
  const LearningRate rate(
      {.kind = ScheduleKind::kCosine, .base_rate = 2, .total_epochs = 4, .steps_per_epoch = 3});
  EXPECT_EQ(rate.At(0), 2);
  EXPECT_NEAR(rate.At(2), 1 + std::sqrt(3.0) / 2, 1e-12);  // A sixth of the way: 1 + cos(30).
  EXPECT_NEAR(rate.At(4), 1.5, 1e-12);                     // A third: 1 + cos(60).
  EXPECT_NEAR(rate.At(6), 1, 1e-12);
  EXPECT_NEAR(rate.At(12), 0, 1e-12);
  EXPECT_NEAR(rate.At(13), 0, 1e-12);
}

TEST(LearningRate, WarmUpRisesLinearly) {
  const LearningRate rate({.base_rate = 1, .warmup_steps = 4});
  EXPECT_EQ(rate.At(0), 0.25);
  EXPECT_EQ(rate.At(2), 0.75);
  EXPECT_EQ(rate.At(3), 1);
  EXPECT_EQ(rate.At(4), 1);
}

TEST(LearningRate, PlateauLowersAndAsksForTheBestWeights) {
  LearningRate rate(
      {.kind = ScheduleKind::kPlateau, .base_rate = 1, .factor = 0.25, .patience = 2});
  EXPECT_FALSE(rate.EndEpoch(0.5));
  EXPECT_FALSE(rate.EndEpoch(0.6));
  EXPECT_FALSE(rate.EndEpoch(0.6));  // Equal is not better.
  EXPECT_EQ(rate.At(0), 1);
  EXPECT_TRUE(rate.EndEpoch(0.1));
  EXPECT_EQ(rate.At(0), 0.25);
  EXPECT_FALSE(rate.EndEpoch(0.6));  // Counted anew.
  EXPECT_FALSE(rate.EndEpoch(0.7));
  EXPECT_FALSE(rate.EndEpoch(0.7));
  EXPECT_TRUE(rate.EndEpoch(0.7));
  EXPECT_EQ(rate.At(0), 0.0625);
}

TEST(LearningRate, OtherSchedulesNeverRollBack) {
  LearningRate rate({.base_rate = 1, .patience = 1});
  for (int epoch = 0; epoch < 5; ++epoch) EXPECT_FALSE(rate.EndEpoch(0)) << epoch;
  EXPECT_EQ(rate.At(0), 1);
}

TEST(LearningRate, ARestoredOneGoesOnAlike) {
  const LearningRateOptions options = {
      .kind = ScheduleKind::kPlateau, .base_rate = 1, .factor = 0.5, .patience = 2};
  LearningRate first(options);
  ASSERT_FALSE(first.EndEpoch(1));
  ASSERT_FALSE(first.EndEpoch(0));
  LearningRate second(options);
  second.Restore(first.state());
  EXPECT_TRUE(first.EndEpoch(0));
  EXPECT_TRUE(second.EndEpoch(0));
  EXPECT_EQ(first.state(), second.state());
  EXPECT_EQ(second.At(0), 0.5);
}

TEST(LearningRate, NumbersThatMakeNoScheduleAreNamed) {
  const auto message = [](const LearningRateOptions& options) {
    const Status status = ValidateSchedule(options);
    EXPECT_EQ(status.code(), ErrorCode::kUsage);
    return status.message();
  };
  EXPECT_TRUE(ValidateSchedule({}).ok());
  EXPECT_TRUE(ValidateSchedule({.base_rate = 0}).ok());
  EXPECT_NE(message({.base_rate = -1}).find("--learning-rate"), std::string::npos);
  EXPECT_NE(message({.base_rate = std::numeric_limits<double>::infinity()}).find("--learning-rate"),
            std::string::npos);
  EXPECT_NE(message({.factor = 0}).find("--lr-factor"), std::string::npos);
  EXPECT_NE(message({.factor = std::numeric_limits<double>::quiet_NaN()}).find("--lr-factor"),
            std::string::npos);
  EXPECT_NE(message({.step_epochs = 0}).find("--lr-step-epochs"), std::string::npos);
  EXPECT_NE(message({.patience = 0}).find("--patience"), std::string::npos);
  EXPECT_NE(message({.warmup_steps = -1}).find("--warmup"), std::string::npos);
}

TEST(LearningRate, SchedulesHaveNames) {
  EXPECT_EQ(*ParseScheduleKind("constant"), ScheduleKind::kConstant);
  EXPECT_EQ(*ParseScheduleKind("step"), ScheduleKind::kStep);
  EXPECT_EQ(*ParseScheduleKind("cosine"), ScheduleKind::kCosine);
  EXPECT_EQ(*ParseScheduleKind("plateau"), ScheduleKind::kPlateau);
  EXPECT_EQ(ParseScheduleKind("linear").status().code(), ErrorCode::kUsage);
}

}  // namespace
}  // namespace wsi
