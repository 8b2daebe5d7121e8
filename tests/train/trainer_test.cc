#include "runtime/train/trainer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>

#include "runtime/plan/plan.pb.h"
#include "runtime/slides/tiff_pyramid.h"
#include "tests/train/faulty_file_ops.h"
#include "tests/train/tiny_run.h"

namespace wsi {
namespace {

class TrainerTest : public testing::Test {
 protected:
  void WritePlanOf(const TinyModel& model) {
    const Status status = WriteTinyPlan(plan_, model);
    ASSERT_TRUE(status.ok()) << status.message();
  }
  TrainOptions Options() const {
    TrainOptions options;
    options.run_dir = folder_.Path("run");
    options.schedule.base_rate = 0.1;
    return options;
  }
  std::vector<nlohmann::json> Events(const std::string& name) const {
    std::ifstream file(folder_.Path("run/events.jsonl"));
    std::vector<nlohmann::json> events;
    for (std::string line; std::getline(file, line);) {
      const auto event = nlohmann::json::parse(line);
      if (event.at("event") == name) events.push_back(event);
    }
    return events;
  }
  // The values that a weights file gives a fresh executor.
  std::vector<std::string> ValuesOf(const std::string& weights) const {
    TinyExecutor tiny = TinyExecutor::Make(plan_);
    const Status status = LoadWeights(weights, *tiny.executor, PersistentKind::kModel);
    EXPECT_TRUE(status.ok()) << status.message();
    return tiny.Values();
  }

  TempFolder folder_;
  std::string plan_ = folder_.Path("tiny.plan");
};

TEST_F(TrainerTest, LearnsWhatItSees) {
  WritePlanOf({.optimizer = {.kind = OptimizerKind::kAdam}});
  const Manifest manifest = MakeTinySlides(folder_, 6, -1, 2);
  TrainOptions options = Options();
  options.epochs = 20;
  options.schedule.base_rate = 0.1;
  const TinyOutcome outcome = TrainTiny(plan_, manifest, options);
  ASSERT_TRUE(outcome.status.ok()) << outcome.status.message();
  const auto epochs = Events("epoch");
  ASSERT_EQ(epochs.size(), 20U);
  EXPECT_LT(epochs.back().at("train_loss").get<double>(),
            0.8 * epochs.front().at("train_loss").get<double>());
  EXPECT_EQ(Events("step").size(), 80U);
  EXPECT_EQ(outcome.summary.state.step, 80);
  EXPECT_EQ(outcome.summary.validation.samples, 2);
  EXPECT_EQ(ValuesOf(folder_.Path("run/last.safetensors")).size(), outcome.values.size());
  std::ifstream status(folder_.Path("run/status.json"));
  EXPECT_EQ(nlohmann::json::parse(status).at("phase"), "finished");
}

// One accumulated step of plain descent goes along the mean of its slides' gradients.
TEST_F(TrainerTest, AccumulationIsTheMeanGradient) {
  constexpr int kAccumulation = 3;
  constexpr double kRate = 0.1;
  WritePlanOf({.optimizer = {.accumulation_steps = kAccumulation}});
  const Manifest manifest = MakeTinySlides(folder_, kAccumulation);

  TinyExecutor tiny = TinyExecutor::Make(plan_);
  std::map<std::string, std::vector<double>> mean;
  tiny.executor->SetGradientTap([&](const std::string& name, const Tensor& gradient) {
    const std::vector<double> values = gradient.ToDoubles();
    auto& sum = mean[name];
    sum.resize(values.size());
    for (size_t i = 0; i < values.size(); ++i) sum[i] += values[i] / kAccumulation;
    return Status();
  });
  const auto feeder = BatchFeeder::Make(tiny.executor.get(), 0, &manifest, {});
  ASSERT_TRUE(feeder.ok());
  ASSERT_TRUE((*feeder)->Enqueue({0, 1, 2}, 0).ok());
  for (int64_t row = 0; row < kAccumulation; ++row) {
    ASSERT_EQ(*(*feeder)->Next(0), std::vector<int64_t>{row});
    ASSERT_TRUE(WriteLabels(*tiny.executor, 0, manifest, {row}).ok());
    ASSERT_TRUE(tiny.executor->Run(0, kNoUpdate).ok());
  }
  ASSERT_EQ(mean.size(), 5U);

  TrainOptions options = Options();
  options.schedule.base_rate = kRate;
  const TinyOutcome outcome = TrainTiny(plan_, manifest, options);
  ASSERT_TRUE(outcome.status.ok()) << outcome.status.message();
  EXPECT_EQ(outcome.summary.state.step, 1);
  const TinyExecutor before = TinyExecutor::Make(plan_);
  TinyExecutor after = TinyExecutor::Make(plan_);
  ASSERT_TRUE(
      LoadWeights(folder_.Path("run/last.safetensors"), *after.executor, PersistentKind::kModel)
          .ok());
  double largest = 0;
  for (const auto& [name, gradient] : mean) {
    const int index = *before.executor->FindPersistent(name);
    const std::vector<double> from = before.executor->ReadPersistent(index)->ToDoubles();
    const std::vector<double> to = after.executor->ReadPersistent(index)->ToDoubles();
    for (size_t i = 0; i < from.size(); ++i) {
      EXPECT_NEAR(to[i] - from[i], -kRate * gradient[i], 2e-7) << name << " " << i;
      largest = std::max(largest, kRate * std::abs(gradient[i]));
    }
  }
  EXPECT_GT(largest, 1e-3);
}

TEST_F(TrainerTest, ABadSlideFailsTheRunByDefault) {
  WritePlanOf({});
  const Manifest manifest = MakeTinySlides(folder_, 4, 2);
  const Status status = TrainTiny(plan_, manifest, Options()).status;
  EXPECT_EQ(status.code(), ErrorCode::kInvalidInput);
  EXPECT_NE(status.message().find("slide-2"), std::string::npos) << status.message();
}

TEST_F(TrainerTest, ABadSlideIsSkippedAndCounted) {
  WritePlanOf({});
  const Manifest manifest = MakeTinySlides(folder_, 4, 2);
  TrainOptions options = Options();
  options.epochs = 2;
  std::vector<std::string> log;
  options.loader.on_bad_slide = BadSlidePolicy::kSkip;
  options.loader.log = [&](const std::string& line) { log.push_back(line); };
  const TinyOutcome outcome = TrainTiny(plan_, manifest, options);
  ASSERT_TRUE(outcome.status.ok()) << outcome.status.message();
  EXPECT_EQ(outcome.summary.state.step, 6);
  EXPECT_EQ(outcome.summary.loader.skipped, 2);
  EXPECT_THAT(log, testing::Each(testing::HasSubstr("slide-2")));
  EXPECT_EQ(log.size(), 2U);
}

TEST_F(TrainerTest, OnlyBadSlidesAreAnErrorEvenWhenSkipped) {
  WritePlanOf({});
  const Manifest manifest = MakeTinySlides(folder_, 1, 0);
  TrainOptions options = Options();
  options.loader.on_bad_slide = BadSlidePolicy::kSkip;
  EXPECT_EQ(TrainTiny(plan_, manifest, options).status.code(), ErrorCode::kInvalidInput);
}

TEST_F(TrainerTest, ALossThatIsNotFiniteNamesStepAndSlide) {
  WritePlanOf({});
  const Manifest manifest = MakeTinySlides(folder_, 1);
  TrainOptions options = Options();
  options.epochs = 2;
  options.max_steps = 1;
  ASSERT_TRUE(TrainTiny(plan_, manifest, options).status.ok());

  TinyExecutor tiny = TinyExecutor::Make(plan_);
  options.max_steps = 2;
  const auto trainer = Trainer::Make(tiny.executor.get(), &manifest, {0}, {}, options);
  ASSERT_TRUE(trainer.ok());
  ASSERT_TRUE(*(*trainer)->Resume());
  tiny.Fill(false, std::numeric_limits<float>::quiet_NaN());
  const Result<TrainSummary> summary = (*trainer)->Run(false);
  EXPECT_EQ(summary.status().code(), ErrorCode::kNumeric);
  EXPECT_NE(summary.status().message().find("step 2"), std::string::npos);
  EXPECT_NE(summary.status().message().find("slide-0"), std::string::npos);
  const CheckpointStore store(options.run_dir);
  const Result<TrainerState> state = store.Load(**store.Latest(), *tiny.executor);
  ASSERT_TRUE(state.ok());
  EXPECT_EQ(state->step, 1);
}

// A gray slide and a white one, whose activations are beyond half precision's 65504.
class ForwardOverflowTest : public TrainerTest {
 protected:
  Manifest MakeGrayAndWhite() {
    Manifest manifest = MakeTinySlides(folder_, 2);
    for (size_t i = 0; i < manifest.rows.size(); ++i) {
      const uint8_t level = i == 0 ? 128 : 255;
      const Status status = WritePyramid(
          manifest.rows[i].path, {.width = 128, .height = 128, .force = true},
          [&](int64_t, int64_t, std::span<uint8_t> rgb) { std::ranges::fill(rgb, level); });
      EXPECT_TRUE(status.ok()) << status.message();
    }
    return manifest;
  }
  // Every weight 3000: a white pixel, about 2.4 when normalised, is beyond 65504 behind 12 taps.
  Result<TrainSummary> Train(const Manifest& manifest, TinyExecutor& tiny) {
    tiny.Fill(false, 3000);
    TrainOptions options = Options();
    options.epochs = 2;
    options.schedule.base_rate = 0;
    std::filesystem::create_directories(options.run_dir);
    WSI_ASSIGN_OR_RETURN(const std::unique_ptr<Trainer> trainer,
                         Trainer::Make(tiny.executor.get(), &manifest, {0, 1}, {}, options));
    return trainer->Run(false);
  }
};

TEST_F(ForwardOverflowTest, IsSkippedAsAGradientsIs) {
  WritePlanOf({.norm = false, .precision = DType::kF16, .loss_scale = true});
  TinyExecutor tiny = TinyExecutor::Make(plan_);
  const Result<TrainSummary> summary = Train(MakeGrayAndWhite(), tiny);
  ASSERT_TRUE(summary.ok()) << summary.status().message();
  EXPECT_EQ(summary->state.step, 2);  // The gray slide's, in two epochs.
  EXPECT_TRUE(std::isfinite(summary->last_loss));
  const auto skips = Events("skip");
  ASSERT_EQ(skips.size(), 2U);
  EXPECT_TRUE(skips[0].at("loss").is_null());
  EXPECT_EQ(skips[0].at("loss_scale"), 65536);
  EXPECT_EQ(skips[1].at("loss_scale"), 32768);
}

TEST_F(ForwardOverflowTest, EndsTheRunWhereStatisticsTookItIn) {
  WritePlanOf({.precision = DType::kF16, .loss_scale = true});
  TinyExecutor tiny = TinyExecutor::Make(plan_);
  const Result<TrainSummary> summary = Train(MakeGrayAndWhite(), tiny);
  EXPECT_EQ(summary.status().code(), ErrorCode::kNumeric);
  EXPECT_THAT(summary.status().message(), testing::HasSubstr("on slide slide-1"));
}

// At rate 0 the one slide's loss stays, while the running statistics go on.
TEST_F(TrainerTest, APlateauGoesBackToTheBestWeights) {
  WritePlanOf({});
  const Manifest manifest = MakeTinySlides(folder_, 1);
  TrainOptions options = Options();
  options.epochs = 2;
  options.schedule = {
      .kind = ScheduleKind::kPlateau, .base_rate = 0, .factor = 0.25, .patience = 1};
  const TinyOutcome outcome = TrainTiny(plan_, manifest, options);
  ASSERT_TRUE(outcome.status.ok()) << outcome.status.message();
  EXPECT_EQ(outcome.summary.state.learning_rate.scale, 0.25);
  EXPECT_EQ(outcome.summary.state.best_step, 1);
  EXPECT_EQ(outcome.values, ValuesOf(folder_.Path("run/best.safetensors")));
  EXPECT_NE(outcome.values, ValuesOf(folder_.Path("run/last.safetensors")));
  const CheckpointStore store(options.run_dir);
  TinyExecutor resumed = TinyExecutor::Make(plan_);
  ASSERT_TRUE(store.Load(**store.Latest(), *resumed.executor).ok());
  EXPECT_EQ(resumed.Values(), outcome.values);
}

TEST_F(TrainerTest, EndsWhenValidationIsGoodEnough) {
  WritePlanOf({});
  const Manifest manifest = MakeTinySlides(folder_, 4, -1, 2);
  TrainOptions options = Options();
  options.epochs = 50;
  options.until_auc = 0;
  const TinyOutcome outcome = TrainTiny(plan_, manifest, options);
  ASSERT_TRUE(outcome.status.ok()) << outcome.status.message();
  EXPECT_EQ(outcome.summary.state.epoch, 1);
}

TEST_F(TrainerTest, SlidesThatFillNoStepAreRefused) {
  WritePlanOf({.batch = 2, .optimizer = {.accumulation_steps = 2}});
  const Manifest manifest = MakeTinySlides(folder_, 3);
  const Status status = TrainTiny(plan_, manifest, Options()).status;
  EXPECT_EQ(status.code(), ErrorCode::kInvalidInput);
  EXPECT_NE(status.message().find("3 training slides"), std::string::npos) << status.message();
}

TEST_F(TrainerTest, AFullDiskEndsTheRunWithItsCheckpoint) {
  WritePlanOf({.optimizer = {.kind = OptimizerKind::kMomentum}});
  const Manifest manifest = MakeTinySlides(folder_, 3);
  TrainOptions options = Options();
  options.checkpoint_steps = 1;
  options.epochs = 2;
  const TinyOutcome whole = TrainTiny(plan_, manifest, options);
  ASSERT_TRUE(whole.status.ok()) << whole.status.message();
  int failures = 0;
  for (int at = 60;; at += 37) {  // The first checkpoint is whole by then.
    SCOPED_TRACE(at);
    std::filesystem::remove_all(options.run_dir);
    FaultyFileOps ops(FaultyFileOps::Fault::kDiskFull, at);
    options.file_ops = &ops;
    const Status status = TrainTiny(plan_, manifest, options).status;
    options.file_ops = nullptr;
    if (!ops.struck()) break;
    ++failures;
    EXPECT_EQ(status.code(), ErrorCode::kResources) << status.message();
    const TinyOutcome rest = TrainTiny(plan_, manifest, options, true);
    ASSERT_TRUE(rest.status.ok()) << rest.status.message();
    EXPECT_EQ(rest.values, whole.values);
  }
  EXPECT_GT(failures, 3);
}

}  // namespace
}  // namespace wsi
