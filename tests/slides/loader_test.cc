#include "runtime/slides/loader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <thread>
#include <vector>

#include "runtime/slides/resample.h"
#include "runtime/slides/slide.h"
#include "tests/slides/slide_files.h"

namespace wsi {
namespace {

using testing::HasSubstr;

constexpr int64_t kSide = 160;

// Five slides of different content; row 2 is no slide.
class LoaderTest : public testing::Test {
 protected:
  void SetUp() override {
    for (uint64_t i = 0; i < 5; ++i) {
      SlideRow row;
      row.slide_id = "s" + std::to_string(i);
      row.path = folder_ / (row.slide_id + ".tiff");
      row.class_index = static_cast<int64_t>(i % 2);
      if (i == 2) {
        WriteBytes(row.path, "not a slide");
      } else {
        ASSERT_NO_FATAL_FAILURE(WriteSlide(row.path, 200, 170, i));
      }
      manifest_.rows.push_back(row);
    }
  }

  std::vector<uint8_t> Direct(int64_t row) {
    Slide slide = Slide::Open(manifest_.rows[static_cast<size_t>(row)].path).value();
    std::vector<uint8_t> rgb(kSide * kSide * 3);
    EXPECT_TRUE(ReadView(slide, {.height = kSide, .width = kSide}, rgb).ok());
    return rgb;
  }

  std::unique_ptr<SlideLoader> Make(LoaderOptions options) {
    options.view = {.height = kSide, .width = kSide};
    Result<std::unique_ptr<SlideLoader>> loader = SlideLoader::Make(manifest_, std::move(options));
    EXPECT_TRUE(loader.ok()) << loader.status().message();
    return std::move(loader).value();
  }

  static std::vector<SampleRequest> Rows(const std::vector<int64_t>& rows, int64_t epoch = 0) {
    std::vector<SampleRequest> requests;
    for (const int64_t row : rows) requests.push_back({row, epoch});
    return requests;
  }

  TestFolder folder_;
  Manifest manifest_;
};

TEST_F(LoaderTest, DeliversInOrderWhateverTheThreads) {
  std::vector<std::vector<uint8_t>> expected(5);
  for (const int64_t row : {0, 1, 3, 4}) expected[static_cast<size_t>(row)] = Direct(row);
  for (const int threads : {1, 2, 7}) {
    for (const int64_t capacity : {1, 2, 5}) {
      const auto loader = Make({.threads = threads, .capacity = capacity});
      const std::vector<int64_t> order = {4, 0, 3, 3, 1, 0, 4, 1, 1, 3};
      ASSERT_TRUE(loader->Enqueue(Rows(order)).ok());
      for (const int64_t row : order) {
        const Result<std::optional<Sample>> sample = loader->Next();
        ASSERT_TRUE(sample.ok() && sample->has_value());
        const Sample& got = **sample;
        EXPECT_EQ(got.request.row, row);
        EXPECT_EQ(got.class_index, row % 2);
        ASSERT_TRUE(
            std::equal(got.rgb.begin(), got.rgb.end(), expected[static_cast<size_t>(row)].begin()));
      }
      EXPECT_FALSE(loader->Next().value().has_value());
      EXPECT_EQ(loader->stats().delivered, 10);
    }
  }
}

TEST_F(LoaderTest, GoesOnWithRequestsAddedLater) {
  const auto loader = Make({.threads = 2, .capacity = 2});
  EXPECT_FALSE(loader->Next().value().has_value());
  ASSERT_TRUE(loader->Enqueue(Rows({0, 1}, 0)).ok());
  ASSERT_TRUE(loader->Enqueue(Rows({1}, 1)).ok());
  EXPECT_EQ(loader->Next().value()->request.epoch, 0);
  EXPECT_EQ(loader->Next().value()->request.row, 1);
  EXPECT_EQ(loader->Next().value()->request.epoch, 1);
  EXPECT_FALSE(loader->Next().value().has_value());
  ASSERT_TRUE(loader->Enqueue(Rows({4})).ok());
  EXPECT_EQ(loader->Next().value()->request.row, 4);
}

// Never more samples in memory than the ring holds: nothing is decoded into the slot that the
// consumer still reads, however long it takes.
TEST_F(LoaderTest, DecodesNoFurtherThanItsCapacity) {
  const auto loader = Make({.threads = 4, .capacity = 2});
  ASSERT_TRUE(loader->Enqueue(Rows({0, 1, 3, 4, 0, 1})).ok());
  const Sample sample = *loader->Next().value();
  const std::vector<uint8_t> before(sample.rgb.begin(), sample.rgb.end());
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  EXPECT_TRUE(std::equal(before.begin(), before.end(), sample.rgb.begin()));
  EXPECT_TRUE(before == Direct(0));
}

TEST_F(LoaderTest, BadSlideFailsItsRequestOnly) {
  const auto loader = Make({.threads = 2, .capacity = 3});
  ASSERT_TRUE(loader->Enqueue(Rows({0, 2, 1})).ok());
  EXPECT_TRUE(loader->Next().ok());
  const Result<std::optional<Sample>> bad = loader->Next();
  ASSERT_FALSE(bad.ok());
  EXPECT_EQ(bad.status().code(), ErrorCode::kInvalidInput);
  EXPECT_THAT(bad.status().message(), HasSubstr("slide s2"));
  EXPECT_THAT(bad.status().message(), HasSubstr("s2.tiff"));
  EXPECT_EQ(loader->Next().value()->request.row, 1);
}

TEST_F(LoaderTest, BadSlideIsSkippedAndTold) {
  std::vector<std::string> told;
  const auto loader = Make({.threads = 2,
                            .capacity = 2,
                            .on_bad_slide = BadSlidePolicy::kSkip,
                            .log = [&](const std::string& line) { told.push_back(line); }});
  std::filesystem::remove(manifest_.rows[3].path);
  ASSERT_TRUE(loader->Enqueue(Rows({2, 0, 2, 3, 1, 2})).ok());
  EXPECT_EQ(loader->Next().value()->request.row, 0);
  EXPECT_EQ(loader->Next().value()->request.row, 1);
  EXPECT_FALSE(loader->Next().value().has_value());
  EXPECT_EQ(loader->stats().skipped, 4);
  ASSERT_EQ(told.size(), 4U);
  EXPECT_THAT(told[2], HasSubstr("s3"));
}

TEST_F(LoaderTest, OnlyBadSlidesAreAnErrorEvenWhenSkipping) {
  const auto loader = Make({.on_bad_slide = BadSlidePolicy::kSkip});
  ASSERT_TRUE(loader->Enqueue(Rows({2, 2})).ok());
  EXPECT_EQ(loader->Next().status().code(), ErrorCode::kInvalidInput);
}

TEST_F(LoaderTest, SlideThatOpensButCannotBeReadIsBad) {
  WSI_SHARED_SLIDE(path, "unreadable.svs");
  manifest_.rows[1].path = path;
  const auto loader = Make({.on_bad_slide = BadSlidePolicy::kSkip});
  ASSERT_TRUE(loader->Enqueue(Rows({1, 0})).ok());
  EXPECT_EQ(loader->Next().value()->request.row, 0);
  EXPECT_EQ(loader->stats().skipped, 1);
}

TEST_F(LoaderTest, RegionOutsideTheSlideIsBad) {
  manifest_.rows[1].region = SlideRegion{150, 0, 100, 10};
  const auto loader = Make({});
  ASSERT_TRUE(loader->Enqueue(Rows({1})).ok());
  EXPECT_EQ(loader->Next().status().code(), ErrorCode::kInvalidInput);
}

TEST_F(LoaderTest, RegionBecomesTheSample) {
  manifest_.rows[1].region = SlideRegion{10, 5, 160, 160};
  const auto loader = Make({});
  ASSERT_TRUE(loader->Enqueue(Rows({1})).ok());
  const Sample sample = *loader->Next().value();
  Slide slide = Slide::Open(manifest_.rows[1].path).value();
  std::vector<uint8_t> rgb(kSide * kSide * 3);
  ASSERT_TRUE(slide.ReadRegion(0, 10, 5, 160, 160, rgb).ok());
  EXPECT_TRUE(std::equal(rgb.begin(), rgb.end(), sample.rgb.begin()));
}

TEST_F(LoaderTest, CancellationEndsAtAnyMoment) {
  for (int i = 0; i < 20; ++i) {
    const auto loader = Make({.threads = 3, .capacity = 2});
    ASSERT_TRUE(loader->Enqueue(Rows({0, 1, 3, 4, 0, 1, 3, 4})).ok());
    if (i % 3 != 0) {
      EXPECT_TRUE(loader->Next().ok());
    }
    std::this_thread::sleep_for(std::chrono::microseconds(300 * i));
    if (i % 2 == 0) {
      loader->Cancel();
      EXPECT_EQ(loader->Next().status().code(), ErrorCode::kPreempted);
    }
  }
}

TEST_F(LoaderTest, CacheSparesDecodingAndKeepsTheBytes) {
  // Without the files a second pass can only come from the cache.
  const auto loader = Make({.threads = 2, .capacity = 2, .cache_bytes = 3 * kSide * kSide * 3});
  ASSERT_TRUE(loader->Enqueue(Rows({0, 1, 3})).ok());
  const std::vector<uint8_t> expected = Direct(1);
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(loader->Next().ok());
  ASSERT_FALSE(loader->Next().value().has_value());
  for (const SlideRow& row : manifest_.rows) std::filesystem::remove(row.path);
  ASSERT_TRUE(loader->Enqueue(Rows({1, 0, 3})).ok());
  const Result<std::optional<Sample>> sample = loader->Next();
  ASSERT_TRUE(sample.ok()) << sample.status().message();
  EXPECT_TRUE(std::equal(expected.begin(), expected.end(), (*sample)->rgb.begin()));
  EXPECT_TRUE(loader->Next().ok());
  EXPECT_TRUE(loader->Next().ok());
  EXPECT_EQ(loader->stats().cache_hits, 3);
}

TEST_F(LoaderTest, AugmentationDependsOnEpochNotOnThreads) {
  const AugmentOptions augment{.flips = true, .rotations = true, .contrast = 0.3};
  const auto run = [&](int threads) {
    std::vector<std::vector<uint8_t>> samples;
    const auto loader = Make({.threads = threads, .capacity = 3, .augment = augment, .seed = 5});
    EXPECT_TRUE(loader->Enqueue(Rows({0, 1, 3}, 0)).ok());
    EXPECT_TRUE(loader->Enqueue(Rows({0, 1, 3}, 1)).ok());
    for (int i = 0; i < 6; ++i) {
      const Sample sample = *loader->Next().value();
      samples.emplace_back(sample.rgb.begin(), sample.rgb.end());
    }
    return samples;
  };
  const auto one = run(1);
  EXPECT_TRUE(one == run(4));
  EXPECT_FALSE(one[0] == one[3]);
}

TEST_F(LoaderTest, RejectsImpossibleOptions) {
  const auto code = [&](LoaderOptions options) {
    return SlideLoader::Make(manifest_, std::move(options)).status().code();
  };
  const ViewSpec view{.height = kSide, .width = kSide};
  EXPECT_EQ(code({.view = {}}), ErrorCode::kUsage);
  EXPECT_EQ(code({.view = view, .threads = 0}), ErrorCode::kUsage);
  EXPECT_EQ(code({.view = view, .capacity = 0}), ErrorCode::kUsage);
  EXPECT_EQ(code({.view = view, .cache_bytes = -1}), ErrorCode::kUsage);
  EXPECT_EQ(code({.view = {.height = INT64_MAX, .width = 5}}), ErrorCode::kInvalidInput);
  // 48 TiB a sample.
  EXPECT_EQ(code({.view = {.height = 1 << 22, .width = 1 << 22}}), ErrorCode::kResources);
  const auto loader = Make({});
  EXPECT_EQ(loader->Enqueue(Rows({5})).code(), ErrorCode::kUsage);
  EXPECT_EQ(loader->Enqueue(Rows({-1})).code(), ErrorCode::kUsage);
}

}  // namespace
}  // namespace wsi
