// Runs that are captured once and replayed do what they do step by step.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/executor/small_run.h"

namespace wsi {
namespace {

using testing::HasSubstr;

ExecutorOptions Captured() { return {.capture = CaptureMode::kOn}; }

class Replay : public SmallRun {
 protected:
  Replay() { backend_.can_capture = true; }
  std::vector<double> Weights() { return executor_->ReadPersistent(0).value().ToDoubles(); }
};

TEST_F(Replay, RunsAfterTheFirstAreReplaysWithTheSameResults) {
  ASSERT_TRUE(Start(MakeSmallPlan(), {.capture = CaptureMode::kOff}).ok());
  std::vector<double> losses;
  for (int i = 0; i < 4; ++i) losses.push_back(Step(kAllPhases).value());
  const std::vector<double> weights = Weights();
  EXPECT_EQ(executor_->ReplayedRuns(kTrain), 0);

  backend_.lag_ms = 5;  // The lanes' order has to come from the events.
  backend_.lanes.clear();
  ASSERT_TRUE(Start(MakeSmallPlan(), Captured()).ok());
  for (const double loss : losses) EXPECT_EQ(Step(kAllPhases).value(), loss);
  EXPECT_EQ(Weights(), weights);
  EXPECT_EQ(executor_->ReplayedRuns(kTrain), 3);
  EXPECT_EQ(backend_.captures, 1);
}

TEST_F(Replay, ScalarsAndInputsAreThoseOfEachRun) {
  ASSERT_TRUE(Start(MakeSmallPlan(), Captured()).ok());
  executor_->SetScalar("lr", 0.0);
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(Step(kAllPhases).ok());
  EXPECT_EQ(Weights(), (std::vector<double>{1, 4, 2, 5, 3, 6}));
  executor_->SetScalar("lr", 0.5);
  ASSERT_TRUE(Step(kAllPhases).ok());
  EXPECT_EQ(Weights(), (std::vector<double>{0, -3, -1, -4, -2, -5}));
  ASSERT_TRUE(executor_->WriteInput(kTrain, 0, Map(0)).ok());  // d = -t.
  EXPECT_EQ(executor_->Run(kTrain, kAllPhases).value(), 3.0);
  EXPECT_EQ(executor_->ReplayedRuns(kTrain), 3);
}

TEST_F(Replay, PhasesAreCapturedApart) {
  ASSERT_TRUE(Start(MakeSmallPlan(), Captured()).ok());
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(Step(kNoUpdate).ok());
  EXPECT_EQ(Weights(), (std::vector<double>{1, 4, 2, 5, 3, 6}));
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(Step(kAllPhases).ok());
  EXPECT_EQ(Weights(), (std::vector<double>{0, -3, -1, -4, -2, -5}));  // w, 1 - w, w, 1 - w.
  EXPECT_EQ(backend_.captures, 2);
  EXPECT_EQ(executor_->ReplayedRuns(kTrain), 3);
}

TEST_F(Replay, TapsTimesAndSpansAreTakenStepByStep) {
  ASSERT_TRUE(Start(MakeSmallPlan(), Captured()).ok());
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(Step(kAllPhases).ok());
  ASSERT_EQ(executor_->ReplayedRuns(kTrain), 1);
  int taps = 0;
  executor_->SetGradientTap([&](const std::string&, const Tensor&) {
    ++taps;
    return Status();
  });
  ASSERT_TRUE(Step(kNoUpdate).ok());
  EXPECT_EQ(taps, 1);
  executor_->SetGradientTap({});
  executor_->SetRecording(true);
  ASSERT_TRUE(Step(kAllPhases).ok());
  EXPECT_GE(executor_->RecordedSpans(kTrain)[0].start, 0);
  executor_->SetRecording(false);
  EXPECT_EQ(executor_->ReplayedRuns(kTrain), 1);
  ASSERT_TRUE(Step(kAllPhases).ok());
  EXPECT_EQ(executor_->ReplayedRuns(kTrain), 2);
}

TEST_F(Replay, AnErrorOfAReplayNamesItsInstruction) {
  ASSERT_TRUE(Start(MakeSmallPlan(), Captured()).ok());
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(Step(kAllPhases).ok());
  backend_.fails_now = "Sub";
  const Result<double> failed = Step(kAllPhases);
  ASSERT_FALSE(failed.ok());
  EXPECT_THAT(failed.status().message(), HasSubstr("program 'train': instruction 2"));
  backend_.fails_now.clear();
  EXPECT_TRUE(Step(kAllPhases).ok());
  EXPECT_EQ(executor_->ReplayedRuns(kTrain), 3);
}

TEST_F(Replay, WhatCannotBeCapturedFailsOnlyWhereItWasAskedFor) {
  backend_.capture_fails = true;
  ASSERT_TRUE(Start(MakeSmallPlan(), Captured()).ok());
  ASSERT_TRUE(Step(kAllPhases).ok());
  EXPECT_THAT(Step(kAllPhases).status().message(), HasSubstr("capture: made to fail"));

  backend_.lanes.clear();
  ASSERT_TRUE(Start(MakeSmallPlan(), {.capture = CaptureMode::kAuto}).ok());
  for (int i = 0; i < 5; ++i) EXPECT_EQ(Step(kNoUpdate).status().message(), "");
  EXPECT_EQ(executor_->ReplayedRuns(kTrain), 0);
}

TEST_F(Replay, AutoReplaysOnlyWhereTheHostIsBusy) {
  ASSERT_TRUE(Start(MakeSmallPlan(), {.capture = CaptureMode::kAuto}).ok());
  backend_.lag_ms = 50;
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(Step(kAllPhases).ok());
  EXPECT_EQ(backend_.captures, 0);
  backend_.lag_ms = 0;
  backend_.put_ms = 5;
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(Step(kAllPhases).ok());
  EXPECT_EQ(backend_.captures, 1);
  EXPECT_EQ(executor_->ReplayedRuns(kTrain), 3);
}

TEST_F(Replay, PoisonIsWrittenStepByStep) {
  ASSERT_TRUE(Start(MakeSmallPlan(), {.poison = true, .capture = CaptureMode::kOn}).ok());
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(Step(kNoUpdate).ok());
  EXPECT_EQ(executor_->ReplayedRuns(kTrain), 0);
}

}  // namespace
}  // namespace wsi
