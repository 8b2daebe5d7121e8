#include "runtime/executor/executor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include "tests/executor/small_run.h"

namespace wsi {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// With w = 1..6: d = 2w - 1 = 1, 3, 5, 7, 9, 11 and loss = sum d^2 / 2.
constexpr double kFirstLoss = 143;

TEST_F(SmallRun, TrainsAndInfers) {
  ASSERT_TRUE(Start(MakeSmallPlan()).ok());
  EXPECT_EQ(Step(kAllPhases).value(), kFirstLoss);
  // w -= 0.5 * 2d gives 1 - w, in ONNX's [3,2] order.
  const Tensor w = executor_->ReadPersistent(0).value();
  EXPECT_EQ(w.shape(), (Shape{3, 2}));
  EXPECT_EQ(w.ToDoubles(), (std::vector<double>{0, -3, -1, -4, -2, -5}));
  EXPECT_EQ(executor_->ReadPersistent(1).value().ToDoubles(), std::vector<double>{kFirstLoss});
  ASSERT_TRUE(executor_->WriteInput(kInfer, "x", Map(3)).ok());
  EXPECT_EQ(executor_->Run(kInfer, kAllPhases).value(), 0.0);
  const Tensor out = executor_->ReadOutput(kInfer, 0).value();
  EXPECT_EQ(out.ToDoubles(), (std::vector<double>{10, 7, 4, 1, -2, -5}));
}

TEST_F(SmallRun, UsesExactlyThePlannedMemory) {
  ASSERT_TRUE(Start(MakeSmallPlan()).ok());
  EXPECT_EQ(backend_.device_bytes, 2328);
  EXPECT_EQ(backend_.host_bytes, 24);
  EXPECT_EQ(backend_.compiled, 9);
  EXPECT_THAT(backend_.lanes, ElementsAre("compute", "in", "out"));
}

TEST_F(SmallRun, SlowCopiesChangeNothing) {
  backend_.lag_ms = 20;
  ASSERT_TRUE(Start(MakeSmallPlan()).ok());
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(executor_->WritePersistent(0, Tensor::Make(DType::kF32, {3, 2}).value()).ok());
    ASSERT_TRUE(Step(kAllPhases).ok());  // w = 0: d = -1, w becomes 1.
    EXPECT_EQ(executor_->ReadPersistent(0).value().ToDoubles(), std::vector<double>(6, 1.0));
  }
}

TEST_F(SmallRun, BarrierWaitsForEveryLane) {
  plan::Plan plan = MakeSmallPlan();  // The barrier replaces the copy's own waits.
  plan.mutable_programs(0)->mutable_instructions(4)->mutable_barrier();
  plan.mutable_programs(0)->mutable_instructions(4)->set_phase(plan::PHASE_UPDATE);
  plan.mutable_programs(0)->mutable_instructions(5)->clear_waits();
  backend_.lag_ms = 20;
  ASSERT_TRUE(Start(plan).ok());
  // It orders even where its own phase is skipped.
  for (const Phases phases : {kNoUpdate, kAllPhases}) {
    EXPECT_EQ(Step(phases).value(), kFirstLoss);
  }
  EXPECT_EQ(executor_->ReadPersistent(0).value().ToDoubles(),
            (std::vector<double>{0, -3, -1, -4, -2, -5}));
}

TEST_F(SmallRun, PoisonReachesNoResult) {
  ASSERT_TRUE(Start(MakeSmallPlan(), {.poison = true}).ok());
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(executor_->WritePersistent(0, Tensor::Make(DType::kF32, {3, 2}).value()).ok());
    EXPECT_EQ(Step(kAllPhases).value(), 3.0);
    EXPECT_EQ(executor_->ReadPersistent(0).value().ToDoubles(), std::vector<double>(6, 1.0));
  }
}

TEST_F(SmallRun, SkippedUpdateLeavesTheParameters) {
  ASSERT_TRUE(Start(MakeSmallPlan()).ok());
  const Tensor before = executor_->ReadPersistent(0).value();
  EXPECT_EQ(Step(kNoUpdate).value(), kFirstLoss);
  EXPECT_EQ(executor_->ReadPersistent(0).value(), before);
  EXPECT_EQ(executor_->ReadPersistent(1).value().ToDoubles(), std::vector<double>{kFirstLoss});
}

TEST_F(SmallRun, TapsGradientsInOnnxShape) {
  ASSERT_TRUE(Start(MakeSmallPlan()).ok());
  std::map<std::string, Tensor> gradients;
  executor_->SetGradientTap([&](const std::string& name, Tensor gradient) {
    gradients[name] = std::move(gradient);
    return Status();
  });
  ASSERT_TRUE(Step(kNoUpdate).ok());
  ASSERT_EQ(gradients.size(), 1U);
  EXPECT_EQ(gradients["w"].shape(), (Shape{3, 2}));
  EXPECT_EQ(gradients["w"].ToDoubles(), (std::vector<double>{2, 14, 6, 18, 10, 22}));
  executor_->SetGradientTap([](const std::string&, const Tensor&) { return IoError("full"); });
  EXPECT_EQ(Step(kNoUpdate).status().code(), ErrorCode::kIo);
  executor_->SetGradientTap(nullptr);
  EXPECT_TRUE(Step(kNoUpdate).ok());
}

TEST_F(SmallRun, ScalarsKeepTheirValue) {
  ASSERT_TRUE(Start(MakeSmallPlan()).ok());
  EXPECT_TRUE(executor_->SetScalar("lr", 0.0));
  EXPECT_FALSE(executor_->SetScalar("seed", int64_t{1}));
  const Tensor before = executor_->ReadPersistent(0).value();
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(Step(kAllPhases).ok());
  EXPECT_EQ(executor_->ReadPersistent(0).value(), before);
}

// Inputs and weights come as f32; the plan's own type is what goes out.
TEST_F(SmallRun, DoublePlanCastsWhatComesIn) {
  ASSERT_TRUE(Start(MakeSmallPlan(DType::kF64)).ok());
  const Tensor w = Tensor::Make(DType::kF32, {3, 2}).value();
  ASSERT_TRUE(executor_->WritePersistent(0, w).ok());
  EXPECT_EQ(Step(kAllPhases).value(), 3.0);
  EXPECT_EQ(executor_->ReadPersistent(0).value().dtype(), DType::kF64);
  EXPECT_EQ(executor_->ReadPersistent(0).value().ToDoubles(), std::vector<double>(6, 1.0));
}

// Pixels 255 are the number 1, so that both ways of writing the input train alike.
TEST_F(SmallRun, PixelsAreAnInputInParts) {
  ASSERT_TRUE(Start(MakeSmallPlan()).ok());
  ASSERT_TRUE(executor_->WriteInput(kInfer, "x", Map(1)).ok());
  ASSERT_TRUE(executor_->Run(kInfer, kAllPhases).ok());
  const std::vector<double> expected = executor_->ReadOutput(kInfer, 0)->ToDoubles();
  ASSERT_TRUE(executor_->WriteInput(kInfer, "x", Map(0)).ok());
  const std::vector<uint8_t> white(4, 255);
  ASSERT_TRUE(executor_->WritePixels(kInfer, 0, 0, white).ok());
  ASSERT_TRUE(executor_->WritePixels(kInfer, 0, 4, std::span(white).first(2)).ok());
  ASSERT_TRUE(executor_->Run(kInfer, kAllPhases).ok());
  EXPECT_EQ(executor_->ReadOutput(kInfer, 0)->ToDoubles(), expected);

  EXPECT_THAT(executor_->WritePixels(kInfer, 0, 3, white).message(),
              HasSubstr("'x' has 6 values of f32, given are 4 pixel values from 3 on"));
  EXPECT_FALSE(executor_->WritePixels(kInfer, 0, -1, white).ok());
  EXPECT_FALSE(executor_->WritePixels(kInfer, 1, 0, white).ok());
}

TEST_F(SmallRun, RefusesWrongInputs) {
  ASSERT_TRUE(Start(MakeSmallPlan()).ok());
  const Tensor wrong = Tensor::Make(DType::kF32, {3, 2}).value();
  EXPECT_THAT(executor_->WriteInput(kTrain, 0, wrong).message(),
              HasSubstr("'x' has shape [3,2], the plan has [2,3]"));
  EXPECT_FALSE(executor_->WriteInput(kTrain, 1, Map(0)).ok());
  EXPECT_FALSE(executor_->WriteInput(kTrain, "y", Map(0)).ok());
  EXPECT_FALSE(executor_->WriteTarget(kInfer, Map(0)).ok());
  EXPECT_FALSE(executor_->WriteInput(kTrain, 0, std::span<const std::byte>()).ok());
  EXPECT_FALSE(executor_->WritePersistent(0, Map(0)).ok());
  const Tensor integers = Tensor::Make(DType::kI64, {3, 2}).value();
  EXPECT_FALSE(executor_->WritePersistent(0, integers).ok());
  EXPECT_FALSE(executor_->ReadOutput(kTrain, 0).ok());
  EXPECT_FALSE(executor_->FindProgram("test").ok());
  EXPECT_EQ(executor_->FindPersistent("c").value(), 2);
}

TEST_F(SmallRun, ErrorsNameTheInstruction) {
  backend_.refused_op = "Sub";
  EXPECT_THAT(Start(MakeSmallPlan()).message(),
              HasSubstr("program 'train', instruction 2 'Sub_node' (Sub): no kernel"));
  backend_.refused_op.clear();
  backend_.failing_op = "Sub";
  ASSERT_TRUE(Start(MakeSmallPlan()).ok());
  const Status failed = Step(kAllPhases).status();
  EXPECT_EQ(failed.code(), ErrorCode::kNumeric);
  EXPECT_THAT(failed.message(), HasSubstr("program 'train'"));
  backend_.failing_op.clear();
  backend_.device_limit = 2000;
  EXPECT_EQ(Start(MakeSmallPlan()).code(), ErrorCode::kResources);
}

// Two ranks, of which the other has zeros.
class HalvingRanks final : public Communicator {
 public:
  int rank() const override { return 0; }
  int size() const override { return 2; }
  int local_size() const override { return 2; }
  int local_rank() const override { return 0; }
  Status Mean(std::span<float> values, SumOrder order) override {
    orders.push_back(order);
    for (float& value : values) value /= 2;
    return status;
  }
  Status Mean(std::span<double>, SumOrder) override { return InternalError("not f64"); }
  Status Max(std::span<int64_t>) override { return {}; }
  Status Broadcast(std::span<std::byte>, int) override { return {}; }
  Result<std::vector<std::string>> Gather(std::string_view) override {
    return InternalError("not here");
  }
  Status CheckPeers(std::string_view) override { return {}; }
  Status GiveUp(std::string_view) override { return InternalError("not here"); }
  PeerFailure failure() const override { return {}; }
  void Announce(const PeerFailure&) override {}
  void Interrupt(int) override {}
  void Abort(int exit_code) override { std::_Exit(exit_code); }

  std::vector<SumOrder> orders;
  Status status;
};

// Between the gradient and its update; the plan's barrier makes room for it.
plan::Plan MakeReducedPlan() {
  plan::Plan plan = MakeSmallPlan();
  plan::Program& train = *plan.mutable_programs(0);
  *train.mutable_instructions(8) = train.instructions(7);
  plan::Instruction& mean = *train.mutable_instructions(7);
  mean.Clear();
  mean.set_name("gradients.0");
  mean.set_lane(plan::LANE_COMM);
  mean.set_phase(plan::PHASE_UPDATE);
  mean.add_waits(6);
  mean.mutable_collective()->add_values(ValueIndex(plan, "w.grad"));
  train.mutable_instructions(8)->add_waits(7);
  return plan;
}

TEST_F(SmallRun, MeansOverOneRankAreNothing) {
  ASSERT_TRUE(Start(MakeReducedPlan()).ok());
  EXPECT_THAT(backend_.lanes, ElementsAre("compute", "in", "out"));
  EXPECT_EQ(Step(kAllPhases).value(), kFirstLoss);
  EXPECT_EQ(executor_->ReadPersistent(0).value().ToDoubles(),
            (std::vector<double>{0, -3, -1, -4, -2, -5}));
}

TEST_F(SmallRun, UpdatesReadMeansOverRanks) {
  HalvingRanks ranks;
  plan::Plan plan = MakeReducedPlan();
  plan.set_deterministic(true);
  ASSERT_TRUE(Start(plan, {.communicator = &ranks}).ok());
  EXPECT_THAT(backend_.lanes, testing::Contains("comm"));
  EXPECT_EQ(Step(kNoUpdate).value(), kFirstLoss);
  EXPECT_TRUE(ranks.orders.empty());
  EXPECT_EQ(Step(kAllPhases).value(), kFirstLoss);
  EXPECT_THAT(ranks.orders, ElementsAre(SumOrder::kByRanks));
  // w -= 0.5 * (2d) / 2 gives 0.5 everywhere.
  EXPECT_EQ(executor_->ReadPersistent(0).value().ToDoubles(), std::vector<double>(6, 0.5));
}

TEST_F(SmallRun, MeansOfCopiesInTheHostsMemoryComeBack) {
  HalvingRanks ranks;
  backend_.lag_ms = 20;
  ASSERT_TRUE(
      Start(MakeReducedPlan(), {.communicator = &ranks, .collectives = CollectivePath::kStaged})
          .ok());
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(executor_->WritePersistent(0, Tensor::Make(DType::kF32, {3, 2}).value()).ok());
    ASSERT_TRUE(Step(kAllPhases).ok());  // w = 0: d = -1, and half of 2d is taken.
    EXPECT_EQ(executor_->ReadPersistent(0).value().ToDoubles(), std::vector<double>(6, 0.5));
  }
  EXPECT_THAT(ranks.orders, ElementsAre(SumOrder::kAny, SumOrder::kAny));
}

TEST_F(SmallRun, TheBackendIsAskedForItsOwnMeans) {
  HalvingRanks ranks;
  backend_.refused_op = "AllReduce";
  const Status refused =
      Start(MakeReducedPlan(), {.communicator = &ranks, .collectives = CollectivePath::kBackend});
  EXPECT_THAT(refused.message(), HasSubstr("'gradients.0' (collective)"));
  EXPECT_TRUE(ranks.orders.empty());
}

TEST_F(SmallRun, NamesTheCollectiveThatFailed) {
  HalvingRanks ranks;
  ASSERT_TRUE(Start(MakeReducedPlan(), {.communicator = &ranks}).ok());
  ranks.status = {ErrorCode::kPeer, "gone"};
  const Status failed = Step(kAllPhases).status();
  EXPECT_EQ(failed.code(), ErrorCode::kPeer);
  EXPECT_THAT(failed.message(), HasSubstr("'gradients.0' (collective): gone"));
}

TEST_F(SmallRun, TimesEveryLaunch) {
  ASSERT_TRUE(Start(MakeSmallPlan()).ok());
  executor_->SetTiming(true);
  ASSERT_TRUE(Step(kAllPhases).ok());
  std::map<std::string, int64_t> launches;
  for (const OpTime& time : executor_->OpTimes(kTrain)) launches[time.op] = time.launches;
  EXPECT_EQ(launches,
            (std::map<std::string, int64_t>{
                {"Add", 1}, {"HalfSumSquares", 1}, {"Mul", 2}, {"SgdUpdate", 1}, {"Sub", 1}}));
}

TEST_F(SmallRun, RecordsWhenEachInstructionRan) {
  backend_.lag_ms = 20;
  ASSERT_TRUE(Start(MakeSmallPlan()).ok());
  EXPECT_TRUE(executor_->RecordedSpans(kTrain).empty());
  executor_->SetRecording(true);
  ASSERT_TRUE(Step(kNoUpdate).ok());
  const std::vector<RecordedSpan>& spans = executor_->RecordedSpans(kTrain);
  ASSERT_EQ(spans.size(), 9U);
  for (size_t i = 0; i < 7; ++i) {
    EXPECT_GE(spans[i].start, 0) << i;
    EXPECT_GE(spans[i].end, spans[i].start) << i;
  }
  // Copies are timed by their lanes, behind what they wait for.
  for (const size_t copy : {1U, 5U}) EXPECT_GE(spans[copy].end - spans[copy].start, 0.02);
  EXPECT_GE(spans[5].start, spans[1].end);
  EXPECT_GE(spans[6].start, spans[5].end);
  EXPECT_LT(spans[2].end, spans[1].end);  // The launch beside the copy does not wait.
  EXPECT_LT(spans[7].start, 0);           // The update did not run.
  ASSERT_TRUE(Step(kAllPhases).ok());
  EXPECT_GE(spans[7].start, spans[6].end);
  executor_->SetRecording(false);
  EXPECT_TRUE(spans.empty());
}

}  // namespace
}  // namespace wsi
