#include "runtime/slides/resample.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "tests/slides/slide_files.h"

namespace wsi {
namespace {

using testing::HasSubstr;

SlideInfo InfoOf(std::vector<SlideLevel> levels, std::optional<double> mpp) {
  SlideInfo info;
  info.levels = std::move(levels);
  info.mpp_x = info.mpp_y = mpp;
  return info;
}

const SlideInfo kFourLevels = InfoOf({{4000, 3000, 1, 256, 256},
                                      {2000, 1500, 2, 256, 256},
                                      {1000, 750, 4.0001, 256, 256},
                                      {250, 187, 16.02, 128, 128}},
                                     0.5);

int LevelFor(double mpp) {
  return PlanView(kFourLevels, "s", {.height = 64, .width = 64, .mpp = mpp}).value().level;
}

TEST(ViewTest, LevelIsTheCoarsestNotAboveTheWantedScale) {
  EXPECT_EQ(LevelFor(0.25), 0);
  EXPECT_EQ(LevelFor(0.5), 0);
  EXPECT_EQ(LevelFor(0.99), 0);
  EXPECT_EQ(LevelFor(1.0), 1);
  EXPECT_EQ(LevelFor(1.9), 1);
  EXPECT_EQ(LevelFor(2.0), 2);  // 4.0001 serves for 4.
  EXPECT_EQ(LevelFor(8.0), 2);
  EXPECT_EQ(LevelFor(8.1), 3);
}

TEST(ViewTest, NativeScaleIsCroppedAboutTheCentreOrPadded) {
  const ViewPlan plan = PlanView(kFourLevels, "s", {.height = 5000, .width = 1001}).value();
  EXPECT_EQ(plan.level, 0);
  EXPECT_EQ(plan.x.count, 1001);
  EXPECT_EQ(plan.x.begin, 0);
  EXPECT_DOUBLE_EQ(plan.x.start, 1499);
  EXPECT_EQ(plan.y.count, 3000);
  EXPECT_EQ(plan.y.begin, 1000);
  EXPECT_DOUBLE_EQ(plan.y.start, 0);
}

TEST(ViewTest, FitShrinksButNeverEnlarges) {
  const ViewSpec small{.height = 300, .width = 200, .scale = ViewScale::kFit};
  const ViewPlan shrunk = PlanView(kFourLevels, "s", small).value();
  EXPECT_EQ(shrunk.level, 3);
  EXPECT_EQ(shrunk.x.count, 200);
  EXPECT_EQ(shrunk.y.count, 150);
  EXPECT_EQ(shrunk.y.begin, 75);
  const ViewSpec large{.height = 8000, .width = 8000, .scale = ViewScale::kFit};
  EXPECT_EQ(PlanView(kFourLevels, "s", large).value().x.count, 4000);
}

TEST(ViewTest, SlideMppOverridesTheFile) {
  const ViewSpec spec{.height = 64, .width = 64, .mpp = 1.0, .slide_mpp = 0.25};
  EXPECT_EQ(PlanView(kFourLevels, "s", spec).value().level, 2);
}

TEST(ViewTest, RejectsWhatTheSlideCannotMeet) {
  const auto error = [](const SlideInfo& info, const ViewSpec& spec) {
    return PlanView(info, "slide-7", spec).status();
  };
  const Status no_mpp = error(InfoOf({{100, 100, 1, 256, 256}}, std::nullopt),
                              {.height = 64, .width = 64, .mpp = 1.0});
  EXPECT_EQ(no_mpp.code(), ErrorCode::kInvalidInput);
  EXPECT_THAT(no_mpp.message(), HasSubstr("slide-7"));
  for (const SlideRegion& region : {SlideRegion{3999, 0, 2, 1},
                                    {0, 2990, 1, 11},
                                    {-1, 0, 5, 5},
                                    {0, 0, 0, 5},
                                    {INT64_MAX, 0, 5, 5},
                                    {5, 0, INT64_MAX, 5}}) {
    EXPECT_EQ(error(kFourLevels, {.height = 64, .width = 64, .region = region}).code(),
              ErrorCode::kInvalidInput);
  }
  EXPECT_EQ(error(kFourLevels, {.height = 0, .width = 64}).code(), ErrorCode::kUsage);
  EXPECT_EQ(error(kFourLevels, {.height = 64, .width = 64, .mpp = 0.0}).code(), ErrorCode::kUsage);
  EXPECT_EQ(error(kFourLevels, {.height = 64, .width = 64, .mpp = 1e-9}).code(),
            ErrorCode::kInvalidInput);
  EXPECT_EQ(
      error(kFourLevels, {.height = 6, .width = 6, .mpp = 1, .scale = ViewScale::kFit}).code(),
      ErrorCode::kUsage);
}

// The mean of channel `c` over the box [x0, x1) x [y0, y1), by looking at every pixel.
double BoxMean(const std::vector<uint8_t>& rgb, int64_t width, int64_t height, double x0, double x1,
               double y0, double y1, int64_t c) {
  double sum = 0;
  double area = 0;
  for (int64_t y = 0; y < height; ++y) {
    const auto top = static_cast<double>(y);
    const double rows = std::min(y1, top + 1) - std::max(y0, top);
    if (rows <= 0) continue;
    for (int64_t x = 0; x < width; ++x) {
      const auto left = static_cast<double>(x);
      const double columns = std::min(x1, left + 1) - std::max(x0, left);
      if (columns <= 0) continue;
      sum += rows * columns * rgb[static_cast<size_t>((y * width + x) * 3 + c)];
      area += rows * columns;
    }
  }
  return sum / area;
}

// Compares ReadView at `scale` level-0 pixels per pixel with BoxMean over `region`.
void ExpectAreaAverage(Slide& slide, double scale, const SlideRegion& region) {
  const SlideLevel level = slide.info().levels[0];
  std::vector<uint8_t> source(static_cast<size_t>(level.width * level.height * 3));
  ASSERT_TRUE(slide.ReadRegion(0, 0, 0, level.width, level.height, source).ok());
  const ViewSpec spec{.height = 61, .width = 75, .mpp = scale, .slide_mpp = 1.0, .region = region};
  std::vector<uint8_t> out(static_cast<size_t>(spec.height * spec.width * 3));
  const Status status = ReadView(slide, spec, out);
  ASSERT_TRUE(status.ok()) << status.message();
  const auto scaled = [scale](int64_t length) {
    return static_cast<int64_t>(std::floor(static_cast<double>(length) / scale + 0.5));
  };
  const int64_t w = scaled(region.w);
  const int64_t h = scaled(region.h);
  const auto right = static_cast<double>(region.x + region.w);
  const auto bottom = static_cast<double>(region.y + region.h);
  for (int64_t y = 0; y < spec.height; ++y) {
    for (int64_t x = 0; x < spec.width; ++x) {
      // Position in the scaled image, which is centred on the sample.
      const int64_t ix = w >= spec.width ? x + (w - spec.width) / 2 : x - (spec.width - w) / 2;
      const int64_t iy = h >= spec.height ? y + (h - spec.height) / 2 : y - (spec.height - h) / 2;
      const bool white = ix < 0 || iy < 0 || ix >= w || iy >= h;
      const double x0 = static_cast<double>(region.x) + static_cast<double>(ix) * scale;
      const double y0 = static_cast<double>(region.y) + static_cast<double>(iy) * scale;
      for (int64_t c = 0; c < 3; ++c) {
        const double expected =
            white ? 255
                  : BoxMean(source, level.width, level.height, x0, std::min(x0 + scale, right), y0,
                            std::min(y0 + scale, bottom), c);
        const int value = out[static_cast<size_t>((y * spec.width + x) * 3 + c)];
        ASSERT_NEAR(value, expected, 0.502) << "scale " << scale << " at " << x << "," << y;
      }
    }
  }
}

TEST(ResampleTest, EqualsTheBruteForceMean) {
  const TestFolder folder;
  ASSERT_NO_FATAL_FAILURE(WriteSlide(folder / "a.tiff", 301, 233));
  Result<Slide> slide = Slide::Open(folder / "a.tiff");
  ASSERT_TRUE(slide.ok());
  ASSERT_EQ(slide->info().levels.size(), 1U);
  for (const double scale : {1.0, 2.0, 3.0, 1.7, 2.5, 3.14159, 0.6, 0.25, 7.77, 40.0}) {
    SCOPED_TRACE(scale);
    ASSERT_NO_FATAL_FAILURE(ExpectAreaAverage(*slide, scale, {0, 0, 301, 233}));
    ASSERT_NO_FATAL_FAILURE(ExpectAreaAverage(*slide, scale, {37, 11, 200, 150}));
  }
}

TEST(ResampleTest, CoarseLevelsAgreeWithLevelZero) {
  WSI_SHARED_SLIDE(path, "boxes.tiff");
  Result<Slide> slide = Slide::Open(path);
  ASSERT_TRUE(slide.ok());
  const ViewSpec spec{.height = 62, .width = 75, .mpp = 4.02, .slide_mpp = 1.0};
  // Level 2 has 62 rows in tiles of 64, so it is passed over.
  ASSERT_EQ(PlanView(*slide, spec).value().level, 1);
  std::vector<uint8_t> coarse(62 * 75 * 3);
  ASSERT_TRUE(ReadView(*slide, spec, coarse).ok());
  std::vector<uint8_t> source(300 * 250 * 3);
  ASSERT_TRUE(slide->ReadRegion(0, 0, 0, 300, 250, source).ok());
  double difference = 0;
  for (int64_t y = 0; y < 62; ++y) {
    for (int64_t x = 0; x < 75; ++x) {
      const double x0 = static_cast<double>(x) * 4.02;
      const double y0 = static_cast<double>(y) * 4.02;
      const double mean = BoxMean(source, 300, 250, x0, x0 + 4.02, y0, y0 + 4.02, 0);
      difference += std::abs(mean - coarse[static_cast<size_t>((y * 75 + x) * 3)]);
    }
  }
  EXPECT_LT(difference / (62 * 75), 1);
}

TEST(ResampleTest, NativeReadOfARealSlideIsItsPixels) {
  WSI_SHARED_SLIDE(path, "CMU-1-Small-Region.svs");
  Result<Slide> slide = Slide::Open(path);
  ASSERT_TRUE(slide.ok());
  std::vector<uint8_t> whole(2967UL * 2220 * 3);
  ASSERT_TRUE(ReadView(*slide, {.height = 2967, .width = 2220}, whole).ok());
  std::vector<uint8_t> region(whole.size());
  ASSERT_TRUE(slide->ReadRegion(0, 0, 0, 2220, 2967, region).ok());
  EXPECT_TRUE(whole == region);
}

TEST(ResampleTest, ThreadsDoNotChangeTheBytes) {
  const TestFolder folder;
  ASSERT_NO_FATAL_FAILURE(WriteSlide(folder / "a.tiff", 5000, 700));
  Result<Slide> slide = Slide::Open(folder / "a.tiff");
  ASSERT_TRUE(slide.ok());
  const ViewSpec spec{.height = 600, .width = 4000, .mpp = 0.63};
  std::vector<uint8_t> one(600UL * 4000 * 3);
  std::vector<uint8_t> four(one.size(), 7);
  ASSERT_TRUE(ReadView(*slide, spec, one).ok());
  ASSERT_TRUE(ReadView(*slide, spec, four, {.threads = 4}).ok());
  EXPECT_TRUE(one == four);
}

TEST(ResampleTest, CancellationEndsTheRead) {
  const TestFolder folder;
  ASSERT_NO_FATAL_FAILURE(WriteSlide(folder / "a.tiff", 512, 512));
  Result<Slide> slide = Slide::Open(folder / "a.tiff");
  ASSERT_TRUE(slide.ok());
  const std::atomic<bool> cancelled = true;
  std::vector<uint8_t> rgb(512 * 512 * 3);
  EXPECT_EQ(ReadView(*slide, {.height = 512, .width = 512}, rgb, {.cancelled = &cancelled}).code(),
            ErrorCode::kPreempted);
}

}  // namespace
}  // namespace wsi
