#include "runtime/train/batch_feeder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

#include "tests/train/tiny_run.h"

namespace wsi {
namespace {

TEST(EpochOrder, IsAPermutation) {
  for (const int64_t count : {1, 2, 7, 1000}) {
    std::vector<int64_t> all(static_cast<size_t>(count));
    std::iota(all.begin(), all.end(), int64_t{0});
    EXPECT_THAT(EpochOrder(count, 3, 4), testing::UnorderedElementsAreArray(all));
  }
  EXPECT_TRUE(EpochOrder(0, 1, 1).empty());
}

TEST(EpochOrder, DependsOnSeedAndEpochAlone) {
  const std::vector<int64_t> order = EpochOrder(50, 1, 2);
  EXPECT_EQ(EpochOrder(50, 1, 2), order);
  EXPECT_NE(EpochOrder(50, 2, 2), order);
  EXPECT_NE(EpochOrder(50, 1, 3), order);
}

TEST(EpochOrder, EveryPlaceIsEquallyLikely) {
  constexpr int kEpochs = 6000;
  std::vector<int> at_first(6);
  for (int epoch = 0; epoch < kEpochs; ++epoch) {
    ++at_first[static_cast<size_t>(EpochOrder(6, 0, epoch)[0])];
  }
  for (const int count : at_first) EXPECT_NEAR(count, kEpochs / 6, 150);  // 5 deviations.
}

class BatchFeederTest : public testing::Test {
 protected:
  void SetUp() override {
    const Status status = WriteTinyPlan(folder_.Path("tiny.plan"), {.batch = 2});
    ASSERT_TRUE(status.ok()) << status.message();
    tiny_ = TinyExecutor::Make(folder_.Path("tiny.plan"));
  }
  std::unique_ptr<BatchFeeder> Make(const Manifest& manifest, LoaderOptions options = {}) {
    Result<std::unique_ptr<BatchFeeder>> feeder =
        BatchFeeder::Make(tiny_.executor.get(), 0, &manifest, std::move(options));
    EXPECT_TRUE(feeder.ok()) << feeder.status().message();
    return std::move(feeder).value();
  }
  TempFolder folder_;
  TinyExecutor tiny_;
};

TEST_F(BatchFeederTest, FindsTheImageInput) {
  const Result<ImageInput> input = FindImageInput(tiny_.executor->plan(), 0);
  ASSERT_TRUE(input.ok()) << input.status().message();
  EXPECT_EQ(input->batch, 2);
  EXPECT_EQ(input->height, 16);
  EXPECT_EQ(input->width, 16);
}

TEST_F(BatchFeederTest, EndsABatchWithItsEpoch) {
  const Manifest manifest = MakeTinySlides(folder_, 3);
  const auto feeder = Make(manifest);
  ASSERT_TRUE(feeder->Enqueue({2, 0, 1}, 0).ok());
  ASSERT_TRUE(feeder->Enqueue({1, 2}, 1).ok());
  using Rows = std::vector<int64_t>;
  EXPECT_EQ(*feeder->Next(0), (Rows{2, 0}));
  EXPECT_EQ(feeder->consumed(), 2);
  EXPECT_EQ(*feeder->Next(0), (Rows{1}));
  EXPECT_EQ(feeder->consumed(), 3);  // The first of epoch 1 is decoded and waits.
  EXPECT_EQ(*feeder->Next(0), (Rows{}));
  EXPECT_EQ(*feeder->Next(1), (Rows{1, 2}));
  EXPECT_EQ(feeder->consumed(), 5);
  EXPECT_EQ(*feeder->Next(1), (Rows{}));
}

TEST_F(BatchFeederTest, SkipsBadSlides) {
  const Manifest manifest = MakeTinySlides(folder_, 3, 0);
  const auto feeder = Make(manifest, {.on_bad_slide = BadSlidePolicy::kSkip});
  ASSERT_TRUE(feeder->Enqueue({1, 0, 2}, 0).ok());
  EXPECT_EQ(*feeder->Next(0), (std::vector<int64_t>{1, 2}));
  EXPECT_EQ(feeder->consumed(), 3);
  EXPECT_EQ(feeder->stats().skipped, 1);
}

}  // namespace
}  // namespace wsi
