// Loss scaling: what it is for each step, what an overflow leaves alone, and when a run
// gives up. The plans are fp32, where a power of two changes no bit.
#include "runtime/train/loss_scale.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>

#include "runtime/base/file.h"
#include "runtime/base/philox.h"
#include "runtime/plan/plan.pb.h"
#include "tests/train/tiny_run.h"

namespace wsi {
namespace {

TEST(LossScale, DoublesAfterManyGoodSteps) {
  LossScale scale;
  for (int64_t i = 1; i < LossScale::kGrowAfter; ++i) scale.Keep();
  EXPECT_EQ(scale.state().scale, 65536);
  scale.Keep();
  EXPECT_EQ(scale.state(), (LossScale::State{131072, 0, 0}));
  scale.Keep();
  ASSERT_TRUE(scale.Skip());
  EXPECT_EQ(scale.state(), (LossScale::State{65536, 0, 1}));
  scale.Keep();
  EXPECT_EQ(scale.state(), (LossScale::State{65536, 1, 0}));
}

TEST(LossScale, EndsAtItsFloor) {
  LossScale scale;
  for (int i = 0; i < 16; ++i) {
    EXPECT_FALSE(scale.IsLastChance());
    ASSERT_TRUE(scale.Skip());
  }
  EXPECT_EQ(scale.state().scale, 1);
  EXPECT_TRUE(scale.IsLastChance());
  EXPECT_FALSE(scale.Skip());
}

TEST(LossScale, EndsAfterManySkippedStepsInARow) {
  LossScale scale;
  scale.Restore({.scale = 0x1p120, .good_steps = 5, .skipped_in_row = 0});
  for (int64_t i = 1; i < LossScale::kMostSkipped; ++i) ASSERT_TRUE(scale.Skip());
  EXPECT_TRUE(scale.IsLastChance());
  scale.Keep();
  EXPECT_FALSE(scale.IsLastChance());
}

class LossScaleTest : public testing::Test {
 protected:
  void WritePlanOf(const TinyModel& model) {
    const Status status = WriteTinyPlan(plan_, model);
    ASSERT_TRUE(status.ok()) << status.message();
  }
  TrainOptions Options(const std::string& run) const {
    TrainOptions options;
    options.run_dir = folder_.Path(run);
    options.epochs = 2;
    options.schedule.base_rate = 0.05;
    return options;
  }
  std::vector<nlohmann::json> Events(const std::string& run, const std::string& name) const {
    std::ifstream file(folder_.Path(run + "/events.jsonl"));
    std::vector<nlohmann::json> events;
    for (std::string line; std::getline(file, line);) {
      const auto event = nlohmann::json::parse(line);
      if (event.at("event") == name) events.push_back(event);
    }
    return events;
  }

  TempFolder folder_;
  std::string plan_ = folder_.Path("tiny.plan");
};

// What a run leaves is the same with a scaled loss as without.
TEST_F(LossScaleTest, PowersOfTwoChangeNothing) {
  const Manifest manifest = MakeTinySlides(folder_, 4);
  for (const OptimizerOptions& optimizer :
       {OptimizerOptions{.kind = OptimizerKind::kMomentum, .accumulation_steps = 2},
        OptimizerOptions{.kind = OptimizerKind::kAdam, .clip_norm = 0.125},
        OptimizerOptions{.kind = OptimizerKind::kSgd, .weight_decay = 0.01}}) {
    std::vector<std::string> weights;
    for (const bool scaled : {false, true}) {
      WritePlanOf({.optimizer = optimizer, .loss_scale = scaled});
      const std::string run = scaled ? "scaled" : "plain";
      const TinyOutcome outcome = TrainTiny(plan_, manifest, Options(run));
      ASSERT_TRUE(outcome.status.ok()) << outcome.status.message();
      weights.push_back(*ReadFile(folder_.Path(run + "/last.safetensors"), 1 << 20));
    }
    EXPECT_EQ(weights[0], weights[1]);
  }
}

// Accumulated steps, micro-step by micro-step, each with a loss scale of its own.
class OverflowTest : public LossScaleTest {
 protected:
  void SetUp() override {
    WritePlanOf(
        {.optimizer = {.kind = OptimizerKind::kAdam, .accumulation_steps = 2}, .loss_scale = true});
    tiny_ = TinyExecutor::Make(plan_);
    tiny_.executor->SetScalar("lr", 0.1);
  }
  void MicroStep(double scale, Phases phases) {
    Tensor image = *Tensor::Make(DType::kF32, {1, 16, 16, 3});
    const PhiloxStream random(7, 0, 0);
    for (size_t i = 0; i < image.data<float>().size(); ++i) {
      image.data<float>()[i] = 2 * random.Uniform(static_cast<int64_t>(i)) - 1;
    }
    ASSERT_TRUE(tiny_.executor->WriteInput(0, 0, image).ok());
    ASSERT_TRUE(
        tiny_.executor->WriteTarget(0, Tensor::Of<int64_t>({1}, std::vector<int64_t>{1})).ok());
    tiny_.executor->SetScalar("loss_scale", scale);
    const Result<double> loss = tiny_.executor->Run(0, phases);
    ASSERT_TRUE(loss.ok()) << loss.status().message();
    EXPECT_TRUE(std::isfinite(*loss));
  }
  void Step(double first, double second) {
    MicroStep(first, kNoUpdate);
    MicroStep(second, kAllPhases);
  }
  // Parameters, or moments, or accumulators, or the flag, by name.
  std::map<std::string, std::vector<double>> Values(plan::Role role, std::string_view part) const {
    std::map<std::string, std::vector<double>> values;
    const plan::Plan& plan = tiny_.executor->plan();
    for (int i = 0; i < plan.persistents_size(); ++i) {
      const std::string& name = plan.persistents(i).onnx_name();
      if (plan.values(plan.persistents(i).value()).role() != role) continue;
      if (name.find(part) == std::string::npos) continue;
      values[name] = tiny_.executor->ReadPersistent(i)->ToDoubles();
    }
    return values;
  }
  double Finite() const { return Values(plan::ROLE_STATE, "gradients_finite").begin()->second[0]; }

  TinyExecutor tiny_;
};

TEST_F(OverflowTest, InAnyMicroStepLeavesParametersAndMomentsAsTheyAre) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  Step(1024, 1024);
  EXPECT_EQ(Finite(), 1);
  const auto parameters = Values(plan::ROLE_PARAMETER, "");
  const auto moments = Values(plan::ROLE_STATE, ".adam_");
  ASSERT_EQ(parameters.size(), 5U);
  ASSERT_EQ(moments.size(), 10U);
  for (const auto& [first, second] : {std::pair(kInfinity, 1024.0), std::pair(1024.0, kInfinity)}) {
    Step(first, second);
    EXPECT_EQ(Finite(), 0);
    EXPECT_EQ(Values(plan::ROLE_PARAMETER, ""), parameters);
    EXPECT_EQ(Values(plan::ROLE_STATE, ".adam_"), moments);
    for (const auto& [name, values] : Values(plan::ROLE_STATE, ".accumulator")) {
      EXPECT_THAT(values, testing::Each(0.0)) << name;
    }
  }
  Step(1024, 1024);
  EXPECT_EQ(Finite(), 1);
  EXPECT_NE(Values(plan::ROLE_PARAMETER, ""), parameters);
  EXPECT_NE(Values(plan::ROLE_STATE, ".adam_"), moments);
}

// The classifier's gradient is as large as the features, 2^60 times an eighth or so.
constexpr float kStretch = 0x1p60F;

TEST_F(LossScaleTest, AnOverflowSkipsHalvesAndRecovers) {
  WritePlanOf({.loss_scale = true, .stretch = kStretch});
  const Manifest manifest = MakeTinySlides(folder_, 8);
  TrainOptions options = Options("run");
  options.schedule.base_rate = 0;
  options.loss_scale = 0x1p74;
  const TinyOutcome outcome = TrainTiny(plan_, manifest, options);
  ASSERT_TRUE(outcome.status.ok()) << outcome.status.message();
  const auto skips = Events("run", "skip");
  const auto steps = Events("run", "step");
  ASSERT_GT(skips.size(), 1U);
  ASSERT_GT(steps.size(), 1U);
  EXPECT_EQ(skips.size() + steps.size(), 16U);
  EXPECT_EQ(outcome.summary.state.step, static_cast<int64_t>(steps.size()))
      << "a skipped step does not count";
  for (size_t i = 0; i < skips.size(); ++i) {
    EXPECT_EQ(skips[i].at("loss_scale"), std::ldexp(0x1p74, -static_cast<int>(i)));
    EXPECT_EQ(skips[i].at("step"), 0);
  }
  const double reached = std::ldexp(0x1p74, -static_cast<int>(skips.size()));
  EXPECT_EQ(steps.back().at("loss_scale"), reached);
  EXPECT_EQ(outcome.summary.state.loss_scale,
            (LossScale::State{reached, static_cast<int64_t>(steps.size()), 0}));
}

TEST_F(LossScaleTest, ARunThatOnlySkipsEndsAndSaysWhere) {
  WritePlanOf({.loss_scale = true, .stretch = kStretch});
  const Manifest manifest = MakeTinySlides(folder_, 2);
  TrainOptions options = Options("run");
  options.epochs = 100;
  options.loss_scale = 0x1p120;  // 50 halvings are not enough.
  const TinyOutcome outcome = TrainTiny(plan_, manifest, options);
  EXPECT_EQ(outcome.status.code(), ErrorCode::kNumeric);
  EXPECT_THAT(
      outcome.status.message(),
      testing::AllOf(testing::HasSubstr("step 1: the gradient of fc.weight on slide slide-"),
                     testing::HasSubstr("after 49 steps skipped in a row")));
  EXPECT_EQ(Events("run", "skip").size(), 49U);
  std::vector<std::string> parameters = outcome.values;
  std::vector<std::string> untouched = TinyExecutor::Make(plan_).Values();
  parameters.resize(5);  // Behind them are the running statistics.
  untouched.resize(5);
  EXPECT_EQ(parameters, untouched);
}

TEST_F(LossScaleTest, IsRefusedWhereThePlanHasNone) {
  WritePlanOf({});
  const Manifest manifest = MakeTinySlides(folder_, 2);
  TrainOptions options = Options("run");
  options.loss_scale = 1024;
  const Status status = TrainTiny(plan_, manifest, options).status;
  EXPECT_EQ(status.code(), ErrorCode::kUsage);
  EXPECT_THAT(status.message(), testing::HasSubstr("the plan is fp32 and has no loss scaling"));
  WritePlanOf({.loss_scale = true});
  options.loss_scale = 0.5;
  EXPECT_EQ(TrainTiny(plan_, manifest, options).status.code(), ErrorCode::kUsage);
}

// A resumed run has its scale, not that of the command line.
TEST_F(LossScaleTest, IsPartOfACheckpoint) {
  WritePlanOf({.loss_scale = true, .stretch = kStretch});
  const Manifest manifest = MakeTinySlides(folder_, 8);
  const auto train = [&](const std::string& run, bool forget) {
    TrainOptions options = Options(run);
    options.schedule.base_rate = 1e-30;
    options.loss_scale = 0x1p74;
    options.max_steps = 2;
    EXPECT_TRUE(TrainTiny(plan_, manifest, options).status.ok());
    if (forget) {
      TinyExecutor tiny = TinyExecutor::Make(plan_);
      CheckpointStore store(options.run_dir);
      Result<TrainerState> state = store.Load(**store.Latest(), *tiny.executor);
      EXPECT_TRUE(state.ok()) << state.status().message();
      state->loss_scale = {.scale = *options.loss_scale, .good_steps = 0, .skipped_in_row = 0};
      EXPECT_TRUE(store.Save(*tiny.executor, *state, 2).ok());
    }
    options.max_steps = 1000;
    return TrainTiny(plan_, manifest, options, true);
  };
  TrainOptions options = Options("whole");
  options.schedule.base_rate = 1e-30;
  options.loss_scale = 0x1p74;
  const TinyOutcome whole = TrainTiny(plan_, manifest, options);
  const TinyOutcome resumed = train("resumed", false);
  ASSERT_TRUE(whole.status.ok() && resumed.status.ok());
  EXPECT_EQ(resumed.values, whole.values);
  EXPECT_EQ(resumed.summary.state, whole.summary.state);
  const TinyOutcome forgetful = train("forgetful", true);
  ASSERT_TRUE(forgetful.status.ok()) << forgetful.status.message();
  EXPECT_NE(forgetful.summary.state, whole.summary.state);
  EXPECT_NE(forgetful.values, whole.values);
}

}  // namespace
}  // namespace wsi
