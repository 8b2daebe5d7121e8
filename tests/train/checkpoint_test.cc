#include "runtime/train/checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "runtime/plan/safetensors.h"
#include "tests/train/faulty_file_ops.h"
#include "tests/train/tiny_run.h"

namespace wsi {
namespace {

namespace fs = std::filesystem;
using Fault = FaultyFileOps::Fault;

std::string ReadBytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::vector<std::string> Names(const std::string& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.push_back(entry.path().filename());
  return names;
}

TrainerState StateOf(int64_t step) {
  return {.seed = 5,
          .step = step,
          .epoch = 2,
          .position = 3,
          .loss_sum = 0.1 + 0.2,
          .loss_count = 7,
          .best_metric = -1.0 / 3,
          .best_loss = 1.0 / 3,
          .best_step = 4,
          .learning_rate = {.scale = 0.1, .best_metric = -1.0 / 3, .epochs_since_best = 1},
          .loss_scale = {.scale = 2048, .good_steps = 17, .skipped_in_row = 3}};
}

class CheckpointTest : public testing::Test {
 protected:
  void SetUp() override {
    const Status status = WriteTinyPlan(plan_, {.optimizer = {.kind = OptimizerKind::kAdam}});
    ASSERT_TRUE(status.ok()) << status.message();
    tiny_ = TinyExecutor::Make(plan_);
    fs::create_directories(run_);
  }
  // Values that tell the step, weights apart from the optimizer's.
  void FillFor(int64_t step) {
    tiny_.Fill(false, static_cast<float>(step));
    tiny_.Fill(true, static_cast<float>(step) + 0.5F);
  }
  Status Save(int64_t step, int keep = 2, FileOps* ops = nullptr) {
    FillFor(step);
    return CheckpointStore(run_, ops).Save(*tiny_.executor, StateOf(step), keep);
  }
  // Expects a whole checkpoint of `step` behind LATEST.
  void ExpectLatest(const testing::Matcher<int64_t>& step) {
    const CheckpointStore store(run_);
    const auto latest = store.Latest();
    ASSERT_TRUE(latest.ok()) << latest.status().message();
    ASSERT_TRUE(latest->has_value());
    TinyExecutor other = TinyExecutor::Make(plan_);
    const Result<TrainerState> state = store.Load(**latest, *other.executor);
    ASSERT_TRUE(state.ok()) << state.status().message();
    EXPECT_THAT(state->step, step);
    EXPECT_EQ(*state, StateOf(state->step));
    FillFor(state->step);
    EXPECT_EQ(other.Values(), tiny_.Values());
  }
  // Saves `step` in a child process that dies before operation `at`; whether it did.
  bool SaveKilledAt(int64_t step, int keep, int at) {
    const pid_t child = fork();
    if (child == 0) {
      FaultyFileOps ops(Fault::kKill, at);
      _exit(Save(step, keep, &ops).ok() ? 0 : 1);
    }
    int status = 0;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status));
    EXPECT_NE(WEXITSTATUS(status), 1);
    return WEXITSTATUS(status) == FaultyFileOps::kKilled;
  }
  void StartOver() {
    fs::remove_all(run_);
    fs::create_directories(run_);
  }

  TempFolder folder_;
  std::string plan_ = folder_.Path("tiny.plan");
  std::string run_ = folder_.Path("run");
  std::string checkpoints_ = run_ + "/checkpoints";
  TinyExecutor tiny_;
};

TEST_F(CheckpointTest, RestoresEveryBit) {
  ASSERT_TRUE(Save(1).ok());
  ExpectLatest(1);
}

TEST_F(CheckpointTest, ThereIsNoneAtFirst) {
  const auto latest = CheckpointStore(run_).Latest();
  ASSERT_TRUE(latest.ok());
  EXPECT_FALSE(latest->has_value());
}

TEST_F(CheckpointTest, HoldsWeightsUnderOnnxNamesAndShapes) {
  ASSERT_TRUE(Save(1).ok());
  const auto file = SafetensorsFile::Open(checkpoints_ + "/step-1/weights.safetensors");
  ASSERT_TRUE(file.ok());
  std::vector<std::string> names;
  for (const SafetensorsEntry& entry : file->entries()) names.push_back(entry.name);
  EXPECT_THAT(
      names, testing::UnorderedElementsAre("conv.weight", "bn.weight", "bn.bias", "bn.running_mean",
                                           "bn.running_var", "fc.weight", "fc.bias"));
  EXPECT_EQ(file->Find("conv.weight")->shape, (Shape{4, 3, 3, 3}));
}

TEST_F(CheckpointTest, KeepsTheNewest) {
  for (int64_t step = 1; step <= 12; ++step) ASSERT_TRUE(Save(step, 3).ok());
  EXPECT_THAT(Names(checkpoints_),
              testing::UnorderedElementsAre("LATEST", "step-10", "step-11", "step-12"));
  ExpectLatest(12);
}

TEST_F(CheckpointTest, SavingAStepAgainReplacesIt) {
  ASSERT_TRUE(Save(1).ok());
  ASSERT_TRUE(Save(1).ok());
  EXPECT_THAT(Names(checkpoints_), testing::UnorderedElementsAre("LATEST", "step-1"));
  ExpectLatest(1);
}

// A run that went on from an earlier checkpoint must not lose its new one to later ones that
// were left behind.
TEST_F(CheckpointTest, LaterStepsOfAnAbandonedPastGo) {
  ASSERT_TRUE(Save(10, 2).ok());
  ASSERT_TRUE(Save(20, 2).ok());
  folder_.Put("run/checkpoints/LATEST", "step-10\n");
  ASSERT_TRUE(Save(11, 1).ok());
  EXPECT_THAT(Names(checkpoints_), testing::UnorderedElementsAre("LATEST", "step-11"));
  ExpectLatest(11);
}

TEST_F(CheckpointTest, AFullDiskAtAnyOperationLeavesTheEarlierOne) {
  for (int at = 0;; ++at) {
    SCOPED_TRACE(at);
    StartOver();
    ASSERT_TRUE(Save(1).ok());
    FaultyFileOps ops(Fault::kDiskFull, at);
    const Status status = Save(2, 2, &ops);
    if (!ops.struck()) {
      EXPECT_TRUE(status.ok()) << status.message();
      EXPECT_GT(at, 12);  // Five files: each is written, made durable and renamed.
      break;
    }
    EXPECT_EQ(status.code(), ErrorCode::kResources) << status.message();
    EXPECT_NE(status.message().find("checkpoint not saved"), std::string::npos);
    ExpectLatest(testing::AnyOf(1, 2));
    EXPECT_TRUE(fs::exists(checkpoints_ + "/step-1/manifest.json"));
    EXPECT_THAT(Names(checkpoints_), testing::Not(testing::Contains(testing::HasSubstr("tmp"))));
    ASSERT_TRUE(Save(3).ok());
    ExpectLatest(3);
  }
}

TEST_F(CheckpointTest, AKillBeforeAnyOperationLeavesARunToResume) {
  for (const int64_t second : {2, 1}) {  // Another step; the same one once more.
    for (int at = 0;; ++at) {
      SCOPED_TRACE(testing::Message() << "step " << second << ", operation " << at);
      StartOver();
      ASSERT_TRUE(Save(1).ok());
      if (!SaveKilledAt(second, 1, at)) {
        EXPECT_GT(at, 12);
        break;
      }
      ExpectLatest(testing::AnyOf(1, second));
      ASSERT_TRUE(Save(3, 1).ok());  // And what the kill left behind goes away.
      ExpectLatest(3);
      EXPECT_THAT(Names(checkpoints_), testing::UnorderedElementsAre("LATEST", "step-3"));
    }
  }
}

TEST_F(CheckpointTest, AKillOfTheFirstSaveLeavesNoneOrAWholeOne) {
  for (int at = 0;; ++at) {
    SCOPED_TRACE(at);
    StartOver();
    if (!SaveKilledAt(1, 1, at)) break;
    const auto latest = CheckpointStore(run_).Latest();
    ASSERT_TRUE(latest.ok()) << latest.status().message();
    if (latest->has_value()) ExpectLatest(1);
  }
}

TEST_F(CheckpointTest, AFlippedBitIsDetected) {
  ASSERT_TRUE(Save(1).ok());
  const std::string folder = checkpoints_ + "/step-1";
  for (const char* name : {"weights.safetensors", "optimizer.safetensors", "trainer.json"}) {
    const std::string path = folder + "/" + name;
    const std::string whole = ReadBytes(path);
    ASSERT_FALSE(whole.empty());
    for (size_t at = 0; at < whole.size(); at += 1 + whole.size() / 40) {
      std::string damaged = whole;
      damaged[at] = static_cast<char>(damaged[at] ^ (1 << (at % 8)));
      std::ofstream(path, std::ios::binary) << damaged;
      const Status status = CheckpointStore(run_).Load(folder, *tiny_.executor).status();
      EXPECT_EQ(status.code(), ErrorCode::kInvalidInput) << name << " byte " << at;
      EXPECT_NE(status.message().find(path), std::string::npos) << status.message();
    }
    std::ofstream(path, std::ios::binary) << whole.substr(0, whole.size() / 2);
    EXPECT_EQ(CheckpointStore(run_).Load(folder, *tiny_.executor).status().code(),
              ErrorCode::kInvalidInput);
    std::ofstream(path, std::ios::binary) << whole;
  }
  ExpectLatest(1);
}

TEST_F(CheckpointTest, AManifestThatLeavesAFileOutIsRefused) {
  ASSERT_TRUE(Save(1).ok());
  const std::string path = checkpoints_ + "/step-1/manifest.json";
  auto json = nlohmann::json::parse(ReadBytes(path));
  json["files"].erase(1);
  std::ofstream(path) << json;
  const Status status =
      CheckpointStore(run_).Load(checkpoints_ + "/step-1", *tiny_.executor).status();
  EXPECT_EQ(status.code(), ErrorCode::kInvalidInput) << status.message();
}

TEST_F(CheckpointTest, AnotherPlansWeightsAreRefused) {
  ASSERT_TRUE(SaveWeights(folder_.Path("w.safetensors"), *tiny_.executor, PersistentKind::kModel,
                          {.force = false})
                  .ok());
  ASSERT_TRUE(
      LoadWeights(folder_.Path("w.safetensors"), *tiny_.executor, PersistentKind::kModel).ok());
  const Tensor weight = *Tensor::Make(DType::kF32, {4, 3, 1, 1});
  const std::vector<std::pair<std::string, const Tensor*>> tensors = {{"conv.weight", &weight}};
  ASSERT_TRUE(
      WriteSafetensors(folder_.Path("other.safetensors"), tensors, {}, {.force = false}).ok());
  const Status status =
      LoadWeights(folder_.Path("other.safetensors"), *tiny_.executor, PersistentKind::kModel);
  EXPECT_EQ(status.code(), ErrorCode::kInvalidInput);
  EXPECT_NE(status.message().find("conv.weight has shape"), std::string::npos) << status.message();
  EXPECT_NE(status.message().find("fc.bias is missing"), std::string::npos) << status.message();
}

TEST_F(CheckpointTest, FindsWeightsWhereverTheyAre) {
  EXPECT_EQ(FindWeights(run_).status().code(), ErrorCode::kInvalidInput);
  ASSERT_TRUE(Save(4).ok());
  const std::string saved = checkpoints_ + "/step-4/weights.safetensors";
  EXPECT_EQ(*FindWeights(run_), saved);
  EXPECT_EQ(*FindWeights(checkpoints_ + "/step-4"), saved);
  EXPECT_EQ(*FindWeights(saved), saved);
  folder_.Put("run/best.safetensors", "");
  EXPECT_EQ(*FindWeights(run_), run_ + "/best.safetensors");
}

}  // namespace
}  // namespace wsi
