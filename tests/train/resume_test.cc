// A run that is stopped and resumed equals one that never stopped, bit for bit, and it takes
// everything in a checkpoint for that.
#include <gtest/gtest.h>

#include "tests/train/tiny_run.h"

namespace wsi {
namespace {

struct Case {
  const char* name;
  TinyModel model;
  AugmentOptions augment = {};
};

Case Adam(int64_t accumulation, int64_t batch = 1) {
  return {"",
          {.batch = batch,
           .dropout = true,
           .optimizer = {.kind = OptimizerKind::kAdam, .accumulation_steps = accumulation}},
          {.flips = true, .rotations = true, .brightness = 0.2, .contrast = 0.2}};
}

class ResumeTest : public testing::TestWithParam<Case> {
 protected:
  TrainOptions Options(const std::string& run, const AugmentOptions& augment) const {
    TrainOptions options;
    options.run_dir = folder_.Path(run);
    options.epochs = 3;
    options.seed = 11;
    options.schedule = {.kind = ScheduleKind::kCosine, .base_rate = 0.05, .warmup_steps = 2};
    options.loader.threads = 2;
    options.loader.capacity = 3;
    options.loader.augment = augment;
    return options;
  }
  void WritePlanOf(const TinyModel& model) {
    const Status status = WriteTinyPlan(plan_, model);
    ASSERT_TRUE(status.ok()) << status.message();
  }

  TempFolder folder_;
  std::string plan_ = folder_.Path("tiny.plan");
};

TEST_P(ResumeTest, StoppedAfterEveryStep) {
  WritePlanOf(GetParam().model);
  const Manifest manifest = MakeTinySlides(folder_, 6, -1, 2);
  const TinyOutcome whole = TrainTiny(plan_, manifest, Options("a", GetParam().augment));
  ASSERT_TRUE(whole.status.ok()) << whole.status.message();
  const TinyOutcome parts = TrainTinyStepByStep(plan_, manifest, Options("b", GetParam().augment));
  ASSERT_TRUE(parts.status.ok()) << parts.status.message();
  EXPECT_GT(whole.summary.state.step, 3);
  EXPECT_EQ(parts.values, whole.values);
  EXPECT_EQ(parts.summary.state, whole.summary.state);
}

TEST_P(ResumeTest, TwiceOrOnTwoThreadsIsTheSame) {
  WritePlanOf(GetParam().model);
  const Manifest manifest = MakeTinySlides(folder_, 4);
  const TinyOutcome first = TrainTiny(plan_, manifest, Options("a", GetParam().augment));
  ASSERT_TRUE(first.status.ok()) << first.status.message();
  EXPECT_NE(first.values, TinyExecutor::Make(plan_).Values());
  const TinyOutcome again = TrainTiny(plan_, manifest, Options("b", GetParam().augment));
  EXPECT_EQ(again.values, first.values);
  TrainOptions options = Options("c", GetParam().augment);
  options.loader.threads = 1;
  options.loader.capacity = 1;
  const TinyOutcome threads = TrainTiny(plan_, manifest, options, false, false, 2);
  EXPECT_EQ(threads.values, first.values);
}

INSTANTIATE_TEST_SUITE_P(
    Runs, ResumeTest,
    testing::Values(
        Case{"Momentum", {.optimizer = {.kind = OptimizerKind::kMomentum}}},
        Case{"Adam", {.optimizer = {.kind = OptimizerKind::kAdam}}},
        Case{"Accumulation",
             {.optimizer = {.kind = OptimizerKind::kMomentum, .accumulation_steps = 2}}},
        Case{"Batch", {.batch = 2, .optimizer = {.kind = OptimizerKind::kNesterov}}},
        Case{"Dropout", {.dropout = true}},
        Case{"LossScale",
             {.optimizer = {.kind = OptimizerKind::kAdam, .clip_norm = 0.5}, .loss_scale = true}},
        Case{"Fp16",
             {.optimizer = {.kind = OptimizerKind::kAdamW, .accumulation_steps = 2},
              .precision = DType::kF16,
              .loss_scale = true}},
        Case{"Bf16", {.optimizer = {.kind = OptimizerKind::kMomentum}, .precision = DType::kBF16}},
        Case{"Augmentation", {}, {.flips = true, .rotations = true, .contrast = 0.3}},
        Case{"Everything", Adam(2).model, Adam(2).augment}),
    [](const testing::TestParamInfo<Case>& run) { return run.param.name; });

// One slide of four is bad; seeds put it first in the second epoch, which the end of the first
// looks ahead to, and last in the third, where a resumed run finds nothing else.
class SkippingResumeTest : public ResumeTest {
 protected:
  static constexpr int64_t kSlides = 4;
  static constexpr int64_t kBad = 1;

  void ExpectNoDifference(int64_t seed) {
    SCOPED_TRACE(seed);
    WritePlanOf({.optimizer = {.kind = OptimizerKind::kMomentum}});
    const Manifest manifest = MakeTinySlides(folder_, kSlides, kBad);
    TrainOptions options = Options("whole", {});
    options.seed = seed;
    options.loader.on_bad_slide = BadSlidePolicy::kSkip;
    const TinyOutcome whole = TrainTiny(plan_, manifest, options);
    ASSERT_TRUE(whole.status.ok()) << whole.status.message();
    EXPECT_EQ(whole.summary.state.step, 9);
    options.run_dir = folder_.Path("steps");
    const TinyOutcome steps = TrainTinyStepByStep(plan_, manifest, options);
    ASSERT_TRUE(steps.status.ok()) << steps.status.message();
    EXPECT_EQ(steps.values, whole.values);
    options.run_dir = folder_.Path("halves");
    options.max_steps = 4;  // Into the second epoch.
    ASSERT_TRUE(TrainTiny(plan_, manifest, options).status.ok());
    options.max_steps = 100;
    const TinyOutcome halves = TrainTiny(plan_, manifest, options, true);
    ASSERT_TRUE(halves.status.ok()) << halves.status.message();
    EXPECT_EQ(halves.values, whole.values);
  }
};

TEST_F(SkippingResumeTest, ABadSlideAtTheBeginningOfAnEpoch) {
  int64_t seed = 0;
  while (EpochOrder(kSlides, seed, 1).front() != kBad) ++seed;
  ExpectNoDifference(seed);
}

TEST_F(SkippingResumeTest, ABadSlideAtTheEndOfTheRun) {
  int64_t seed = 0;
  while (EpochOrder(kSlides, seed, 2).back() != kBad) ++seed;
  ExpectNoDifference(seed);
}

// What a checkpoint holds is needed: without any part of it the run goes elsewhere.
class IncompleteResumeTest : public ResumeTest {
 protected:
  // The values at the end of a run stopped in its second epoch, its checkpoint changed by
  // `tamper`, and resumed.
  std::vector<std::string> EndAfter(
      const std::function<void(TrainerState&, TinyExecutor&)>& tamper) {
    const Case adam = Adam(1);
    WritePlanOf(adam.model);
    const Manifest manifest = MakeTinySlides(folder_, 4);
    const std::string run = "run" + std::to_string(++runs_);
    TrainOptions options = Options(run, adam.augment);
    options.schedule = {.base_rate = 0.05};
    options.max_steps = 6;
    TinyOutcome outcome = TrainTiny(plan_, manifest, options);
    EXPECT_TRUE(outcome.status.ok()) << outcome.status.message();
    options.max_steps = 12;

    TinyExecutor tiny = TinyExecutor::Make(plan_);
    CheckpointStore store(options.run_dir);
    Result<TrainerState> state = store.Load(**store.Latest(), *tiny.executor);
    EXPECT_TRUE(state.ok()) << state.status().message();
    const int64_t step = state->step;
    tamper(*state, tiny);
    options.max_steps += state->step - step;  // As many steps in any case.
    EXPECT_TRUE(store.Save(*tiny.executor, *state, 2).ok());
    outcome = TrainTiny(plan_, manifest, options, true);
    EXPECT_TRUE(outcome.status.ok()) << outcome.status.message();
    return outcome.values;
  }
  int runs_ = 0;
};

TEST_F(IncompleteResumeTest, EveryPartOfACheckpointCounts) {
  const auto whole = EndAfter([](TrainerState&, TinyExecutor&) {});
  EXPECT_EQ(EndAfter([](TrainerState&, TinyExecutor&) {}), whole);
  EXPECT_NE(EndAfter([](TrainerState&, TinyExecutor& tiny) { tiny.Fill(true, 0); }), whole)
      << "optimizer state";
  EXPECT_NE(EndAfter([](TrainerState& state, TinyExecutor&) { state.position = 0; }), whole)
      << "position";
  EXPECT_NE(EndAfter([](TrainerState& state, TinyExecutor&) { state.epoch = 0; }), whole)
      << "epoch";
  EXPECT_NE(EndAfter([](TrainerState& state, TinyExecutor&) { state.step = 0; }), whole) << "step";
  EXPECT_NE(EndAfter([](TrainerState& state, TinyExecutor&) { state.learning_rate.scale = 0.5; }),
            whole)
      << "learning rate";
  EXPECT_NE(EndAfter([](TrainerState&, TinyExecutor& tiny) { tiny.Fill(false, 0.1F); }), whole)
      << "weights";
}

TEST_F(IncompleteResumeTest, AnotherSeedIsRefused) {
  WritePlanOf({});
  const Manifest manifest = MakeTinySlides(folder_, 2);
  TrainOptions options = Options("run", {});
  options.max_steps = 1;
  ASSERT_TRUE(TrainTiny(plan_, manifest, options).status.ok());
  options.seed = 12;
  const Status status = TrainTiny(plan_, manifest, options, true).status;
  EXPECT_EQ(status.code(), ErrorCode::kUsage);
  EXPECT_NE(status.message().find("--seed 11"), std::string::npos) << status.message();
}

}  // namespace
}  // namespace wsi
