#include "runtime/slides/synth.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <vector>

#include "runtime/slides/resample.h"
#include "runtime/slides/slide.h"
#include "runtime/slides/synth_set.h"
#include "tests/slides/slide_files.h"

namespace wsi {
namespace {

std::vector<uint8_t> PaintAll(const SyntheticSlideSpec& spec) {
  const SlidePainter painter = SlidePainter::Make(spec).value();
  std::vector<uint8_t> rgb(static_cast<size_t>(spec.width * spec.height * 3));
  painter.Paint(0, 0, spec.width, spec.height, rgb);
  return rgb;
}

std::array<double, 3> MeanColour(const std::vector<uint8_t>& rgb) {
  std::array<double, 3> sum{};
  for (size_t i = 0; i < rgb.size(); ++i) sum[i % 3] += rgb[i];
  for (double& s : sum) s /= static_cast<double>(rgb.size() / 3);
  return sum;
}

// Pixels darker in green than any ordinary nucleus.
int64_t DarkPixels(const std::vector<uint8_t>& rgb) {
  int64_t count = 0;
  for (size_t i = 1; i < rgb.size(); i += 3) count += rgb[i] < 45 ? 1 : 0;
  return count;
}

// The chance that a value of `high` exceeds one of `low`.
double Auc(const std::vector<double>& low, const std::vector<double>& high) {
  double wins = 0;
  for (const double a : low) {
    for (const double b : high) wins += b > a ? 1.0 : (b == a ? 0.5 : 0.0);
  }
  return wins / static_cast<double>(low.size() * high.size());
}

TEST(SynthTest, EveryWindowShowsTheSamePixels) {
  const SyntheticSlideSpec spec{.width = 600, .height = 500, .class_index = 1, .seed = 3};
  const std::vector<uint8_t> whole = PaintAll(spec);
  const SlidePainter painter = SlidePainter::Make(spec).value();
  for (const auto& [x, y, w, h] : std::vector<std::array<int64_t, 4>>{
           {0, 0, 256, 256}, {256, 0, 256, 256}, {123, 77, 301, 213}, {599, 499, 1, 1}}) {
    std::vector<uint8_t> part(static_cast<size_t>(w * h * 3));
    painter.Paint(x, y, w, h, part);
    for (int64_t j = 0; j < h; ++j) {
      for (int64_t i = 0; i < w * 3; ++i) {
        ASSERT_EQ(part[static_cast<size_t>(j * w * 3 + i)],
                  whole[static_cast<size_t>(((y + j) * 600 + x) * 3 + i)]);
      }
    }
  }
}

// With the same seed the classes differ inside the lesions only, and not in the mean.
TEST(SynthTest, LesionsAreSmallAndKeepTheMeanColour) {
  for (int64_t class_index = 1; class_index < kMaxSyntheticClasses; ++class_index) {
    for (uint64_t seed = 0; seed < 5; ++seed) {
      SyntheticSlideSpec spec{.width = 768, .height = 768, .lesions = 3, .seed = seed};
      const std::vector<uint8_t> normal = PaintAll(spec);
      spec.class_index = class_index;
      const std::vector<uint8_t> tumour = PaintAll(spec);
      int64_t changed = 0;
      for (size_t i = 0; i < normal.size(); i += 3) changed += normal[i] != tumour[i] ? 1 : 0;
      EXPECT_GT(changed, 1000);
      EXPECT_LT(changed, 768 * 768 / 100);
      for (size_t c = 0; c < 3; ++c) {
        EXPECT_NEAR(MeanColour(normal)[c], MeanColour(tumour)[c], 0.01)
            << "class " << class_index << " seed " << seed;
      }
      EXPECT_EQ(DarkPixels(normal), 0);
      EXPECT_GT(DarkPixels(tumour), 200);
    }
  }
}

TEST(SynthTest, RejectsImpossibleSpecs) {
  const auto code = [](const SyntheticSlideSpec& spec) {
    return SlidePainter::Make(spec).status().code();
  };
  EXPECT_EQ(code({.width = 100}), ErrorCode::kUsage);
  EXPECT_EQ(code({.class_index = kMaxSyntheticClasses}), ErrorCode::kUsage);
  EXPECT_EQ(code({.width = 256, .height = 256, .class_index = 1, .lesions = 500}),
            ErrorCode::kUsage);
}

SyntheticSetOptions SetOptions(const std::string& folder) {
  return {.folder = folder, .count = 6, .min_side = 512, .max_side = 640, .seed = 11};
}

TEST(SynthSetTest, SameSeedSameBytesWhateverTheThreads) {
  const TestFolder folder;
  SyntheticSetOptions options = SetOptions(folder / "a");
  ASSERT_TRUE(MakeSyntheticSet(options).ok());
  options.folder = folder / "b";
  options.threads = 3;
  const std::vector<SlideRow> rows = MakeSyntheticSet(options).value();
  ASSERT_EQ(rows.size(), 6U);
  for (const SlideRow& row : rows) {
    const std::string name = row.slide_id + ".tiff";
    const std::string bytes = ReadBytes(folder / ("a/" + name));
    EXPECT_GT(bytes.size(), 10000U);
    EXPECT_TRUE(bytes == ReadBytes(folder / ("b/" + name)));
  }
  EXPECT_EQ(ReadBytes(folder / "a/slides.csv"), ReadBytes(folder / "b/slides.csv"));
  options.folder = folder / "c";
  options.seed = 12;
  ASSERT_TRUE(MakeSyntheticSet(options).ok());
  EXPECT_NE(ReadBytes(folder / "a/slides.csv"), ReadBytes(folder / "c/slides.csv"));
}

TEST(SynthSetTest, ManifestHasClassesSplitsAndScale) {
  const TestFolder folder;
  SyntheticSetOptions options = SetOptions(folder.path());
  options.count = 8;
  ASSERT_TRUE(MakeSyntheticSet(options).ok());
  const Result<Manifest> manifest = ReadManifest(folder / "slides.csv");
  ASSERT_TRUE(manifest.ok()) << manifest.status().message();
  EXPECT_THAT(manifest->class_names, testing::ElementsAre("normal", "tumor"));
  EXPECT_EQ(RowsOfSplit(*manifest, "train")->size(), 6U);
  EXPECT_THAT(RowsOfSplit(*manifest, "test").value(), testing::ElementsAre(6, 7));
  EXPECT_EQ(manifest->rows[1].class_index, 1);
  EXPECT_EQ(manifest->rows[0].mpp, 0.5);
  EXPECT_EQ(MakeSyntheticSet(options).status().code(), ErrorCode::kUsage);
  options.force = true;
  EXPECT_TRUE(MakeSyntheticSet(options).ok());
}

TEST(PyramidTest, OpenSlideFindsLevelsScaleAndPixels) {
  const TestFolder folder;
  const SyntheticSlideSpec spec{.width = 1536, .height = 1024, .seed = 2};
  const SlidePainter painter = SlidePainter::Make(spec).value();
  for (const int factor : {2, 4}) {
    const std::string path = folder / ("f" + std::to_string(factor) + ".tiff");
    const Status written =
        WritePyramid(path, {.width = 1536, .height = 1024, .mpp = 0.25, .level_factor = factor},
                     [&](int64_t x, int64_t y, std::span<uint8_t> rgb) {
                       painter.Paint(x, y, kPyramidTile, kPyramidTile, rgb);
                     });
    ASSERT_TRUE(written.ok()) << written.message();
    EXPECT_FALSE(std::filesystem::exists(path + ".part"));
    Result<Slide> slide = Slide::Open(path);
    ASSERT_TRUE(slide.ok()) << slide.status().message();
    const std::vector<SlideLevel>& levels = slide->info().levels;
    ASSERT_EQ(levels.size(), factor == 2 ? 3U : 2U);
    EXPECT_DOUBLE_EQ(levels[1].downsample, factor);
    EXPECT_EQ(levels[1].width, 1536 / factor);
    EXPECT_EQ(levels[0].tile_width, 256);
    EXPECT_NEAR(slide->info().mpp_x.value(), 0.25, 1e-6);
    EXPECT_TRUE(slide->info().vendor == "generic-tiff");
    // The coarse level is the mean of the painted pixels, but for JPEG.
    std::vector<uint8_t> level(static_cast<size_t>(levels[1].width * levels[1].height * 3));
    ASSERT_TRUE(slide->ReadRegion(1, 0, 0, levels[1].width, levels[1].height, level).ok());
    const std::vector<uint8_t> whole = PaintAll(spec);
    double error = 0;
    for (int64_t y = 0; y < levels[1].height; ++y) {
      for (int64_t x = 0; x < levels[1].width; ++x) {
        double sum = 0;
        for (int64_t b = 0; b < factor; ++b) {
          for (int64_t a = 0; a < factor; ++a) {
            sum += whole[static_cast<size_t>(((y * factor + b) * 1536 + x * factor + a) * 3 + 1)];
          }
        }
        error += std::abs(sum / (factor * factor) -
                          level[static_cast<size_t>((y * levels[1].width + x) * 3 + 1)]);
      }
    }
    EXPECT_LT(error / static_cast<double>(levels[1].width * levels[1].height), 3);
  }
}

TEST(PyramidTest, OddSizesAndUnwritablePlaces) {
  const TestFolder folder;
  const TileSource grey = [](int64_t, int64_t, std::span<uint8_t> rgb) {
    std::fill(rgb.begin(), rgb.end(), uint8_t{90});
  };
  ASSERT_TRUE(WritePyramid(folder / "odd.tiff", {.width = 1027, .height = 3}, grey).ok());
  Result<Slide> slide = Slide::Open(folder / "odd.tiff");
  ASSERT_TRUE(slide.ok());
  std::vector<uint8_t> rgb(1027 * 3 * 3);
  ASSERT_TRUE(slide->ReadRegion(0, 0, 0, 1027, 3, rgb).ok());
  for (const uint8_t value : rgb) ASSERT_NEAR(value, 90, 2);
  EXPECT_EQ(WritePyramid(folder / "no/such/a.tiff", {.width = 9, .height = 9}, grey).code(),
            ErrorCode::kIo);
  EXPECT_EQ(WritePyramid(folder / "odd.tiff", {.width = 9, .height = 9}, grey).code(),
            ErrorCode::kUsage);
  EXPECT_EQ(WritePyramid(folder / "b.tiff", {.width = 0, .height = 9}, grey).code(),
            ErrorCode::kUsage);
  // A full disk, where the system offers one.
  if (std::filesystem::exists("/dev/full")) {
    std::filesystem::create_symlink("/dev/full", folder / "full.tiff.part");
    EXPECT_FALSE(WritePyramid(folder / "full.tiff", {.width = 2000, .height = 2000}, grey).ok());
    EXPECT_FALSE(std::filesystem::exists(folder / "full.tiff"));
  }
}

// At 1/32 of the scale neither the mean nor the spread of any colour tells the classes apart;
// at full scale the dark nuclei do.
TEST(SynthSetTest, ThumbnailsDoNotTellTheClass) {
  const TestFolder folder;
  const std::vector<SlideRow> rows =
      MakeSyntheticSet({.folder = folder.path(), .count = 40, .min_side = 768, .max_side = 768})
          .value();
  std::array<std::array<std::vector<double>, 2>, 6> features;
  std::array<std::vector<double>, 2> dark;
  for (const SlideRow& row : rows) {
    Slide slide = Slide::Open(row.path).value();
    const auto label = static_cast<size_t>(row.class_index);
    std::vector<uint8_t> small(24 * 24 * 3);
    ASSERT_TRUE(ReadView(slide, {.height = 24, .width = 24, .scale = ViewScale::kFit}, small).ok());
    const std::array<double, 3> mean = MeanColour(small);
    for (size_t c = 0; c < 3; ++c) {
      features[c][label].push_back(mean[c]);
      double spread = 0;
      for (size_t i = c; i < small.size(); i += 3) spread += std::pow(small[i] - mean[c], 2);
      features[3 + c][label].push_back(spread);
    }
    std::vector<uint8_t> full(768 * 768 * 3);
    ASSERT_TRUE(ReadView(slide, {.height = 768, .width = 768}, full).ok());
    dark[label].push_back(static_cast<double>(DarkPixels(full)));
  }
  for (size_t f = 0; f < features.size(); ++f) {
    const double auc = Auc(features[f][0], features[f][1]);
    EXPECT_GT(auc, 0.3) << "feature " << f;
    EXPECT_LT(auc, 0.7) << "feature " << f;
  }
  EXPECT_GT(Auc(dark[0], dark[1]), 0.99);
}

}  // namespace
}  // namespace wsi
