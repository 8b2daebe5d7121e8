#include "runtime/slides/slide.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openslide.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "tests/slides/slide_files.h"

namespace wsi {
namespace {

using testing::HasSubstr;

TEST(SlideTest, MetadataOfARealSlide) {
  WSI_SHARED_SLIDE(path, "CMU-1-Small-Region.svs");
  const Result<Slide> slide = Slide::Open(path);
  ASSERT_TRUE(slide.ok()) << slide.status().message();
  const SlideInfo& info = slide->info();
  EXPECT_EQ(info.vendor, "aperio");
  ASSERT_EQ(info.levels.size(), 1U);
  EXPECT_EQ(info.levels[0].width, 2220);
  EXPECT_EQ(info.levels[0].height, 2967);
  EXPECT_EQ(info.levels[0].tile_width, 240);
  EXPECT_DOUBLE_EQ(info.mpp_x.value(), 0.499);
  EXPECT_DOUBLE_EQ(info.objective_power.value(), 20);
  EXPECT_EQ(info.associated_images.size(), 3U);
}

TEST(SlideTest, LevelsOfBoxes) {
  WSI_SHARED_SLIDE(path, "boxes.tiff");
  const Result<Slide> slide = Slide::Open(path);
  ASSERT_TRUE(slide.ok()) << slide.status().message();
  const std::vector<SlideLevel>& levels = slide->info().levels;
  ASSERT_EQ(levels.size(), 4U);
  EXPECT_EQ(levels[0].width, 300);
  EXPECT_EQ(levels[3].height, 31);
  EXPECT_DOUBLE_EQ(levels[1].downsample, 2);
  // Its resolution tags say 72 dpi, which is no microscope's.
  EXPECT_FALSE(slide->info().mpp_x.has_value());
}

TEST(SlideTest, PixelsAreThoseOfOpenSlide) {
  WSI_SHARED_SLIDE(path, "CMU-1-Small-Region.svs");
  Result<Slide> slide = Slide::Open(path);
  ASSERT_TRUE(slide.ok());
  constexpr int64_t kX = 701;
  constexpr int64_t kY = 333;
  constexpr int64_t kW = 1300;  // More than one block.
  constexpr int64_t kH = 1111;
  std::vector<uint8_t> rgb(kW * kH * 3);
  const Status status = slide->ReadRegion(0, kX, kY, kW, kH, rgb);
  ASSERT_TRUE(status.ok()) << status.message();
  openslide_t* handle = openslide_open(path.c_str());
  std::vector<uint32_t> argb(kW * kH);
  openslide_read_region(handle, argb.data(), kX, kY, 0, kW, kH);
  ASSERT_EQ(openslide_get_error(handle), nullptr);
  openslide_close(handle);
  int64_t differing = 0;
  int64_t dark = 0;
  for (size_t i = 0; i < argb.size(); ++i) {
    ASSERT_EQ(argb[i] >> 24, 255U);
    for (size_t c = 0; c < 3; ++c) {
      const auto expected = static_cast<uint8_t>(argb[i] >> (16 - 8 * c));
      if (rgb[3 * i + c] != expected) ++differing;
      if (expected < 128) ++dark;
    }
  }
  EXPECT_EQ(differing, 0);
  EXPECT_GT(dark, 1000);  // There is tissue to compare.
}

TEST(SlideTest, RegionsOutsideAreErrors) {
  const TestFolder folder;
  ASSERT_NO_FATAL_FAILURE(WriteSlide(folder / "a.tiff", 300, 200));
  Result<Slide> slide = Slide::Open(folder / "a.tiff");
  ASSERT_TRUE(slide.ok());
  std::vector<uint8_t> rgb(10 * 10 * 3);
  const auto code = [&](int64_t x, int64_t y) {
    return slide->ReadRegion(0, x, y, 10, 10, rgb).code();
  };
  EXPECT_EQ(code(290, 190), ErrorCode::kOk);
  EXPECT_EQ(code(291, 190), ErrorCode::kInvalidInput);
  EXPECT_EQ(code(290, 191), ErrorCode::kInvalidInput);
  EXPECT_EQ(code(-1, 0), ErrorCode::kInvalidInput);
  EXPECT_EQ(code(INT64_MAX, 0), ErrorCode::kInvalidInput);
}

TEST(SlideTest, UnreadableSlideFailsEveryReadWithItsName) {
  WSI_SHARED_SLIDE(path, "unreadable.svs");
  Result<Slide> slide = Slide::Open(path);
  ASSERT_TRUE(slide.ok()) << slide.status().message();
  std::vector<uint8_t> rgb(16 * 16 * 3);
  for (int i = 0; i < 3; ++i) {
    const Status status = slide->ReadRegion(0, 0, 0, 16, 16, rgb);
    EXPECT_EQ(status.code(), ErrorCode::kInvalidInput);
    EXPECT_THAT(status.message(), HasSubstr("unreadable.svs"));
    EXPECT_THAT(status.message(), HasSubstr("Bogus marker length"));
  }
}

TEST(SlideTest, UnopenableSlideIsRejected) {
  WSI_SHARED_SLIDE(path, "unopenable.tiff");
  const Result<Slide> slide = Slide::Open(path);
  ASSERT_FALSE(slide.ok());
  EXPECT_EQ(slide.status().code(), ErrorCode::kInvalidInput);
  EXPECT_THAT(slide.status().message(), HasSubstr("unopenable.tiff"));
}

TEST(SlideTest, MissingFileAndOtherFilesAreRejected) {
  const TestFolder folder;
  EXPECT_EQ(Slide::Open(folder / "none.svs").status().code(), ErrorCode::kIo);
  EXPECT_EQ(Slide::Open(folder.path()).status().code(), ErrorCode::kIo);
  WriteBytes(folder / "text.svs", "not a slide");
  EXPECT_EQ(Slide::Open(folder / "text.svs").status().code(), ErrorCode::kInvalidInput);
}

// Calls edit(entry) for the 12 bytes of each field called `tag` in every directory of a
// little-endian classic TIFF: tag and type of 2 bytes, count and value or offset of 4.
template <typename F>
void EditField(std::string& tiff, uint16_t tag, F&& edit) {
  const auto read32 = [&](size_t at) {
    uint32_t value = 0;
    std::memcpy(&value, tiff.data() + at, 4);
    return value;
  };
  size_t directory = read32(4);
  while (directory != 0) {
    const size_t entries = static_cast<uint16_t>(read32(directory));
    for (size_t i = 0; i < entries; ++i) {
      char* entry = tiff.data() + directory + 2 + 12 * i;
      uint16_t found = 0;
      std::memcpy(&found, entry, 2);
      if (found == tag) edit(entry);
    }
    directory = read32(directory + 2 + 12 * entries);
  }
}

void PatchTiles(std::string& tiff, uint32_t side) {
  for (const uint16_t tag : {uint16_t{322}, uint16_t{323}}) {  // TileWidth, TileLength
    EditField(tiff, tag, [side](char* entry) {
      const uint16_t type_long = 4;
      std::memcpy(entry + 2, &type_long, 2);
      std::memcpy(entry + 8, &side, 4);
    });
  }
}

// What OpenSlide takes for a tile that was never written.
void DropSecondTile(std::string& tiff) {
  EditField(tiff, 325, [&tiff](char* entry) {  // TileByteCounts
    uint16_t type = 0;
    uint32_t value = 0;
    std::memcpy(&type, entry + 2, 2);
    std::memcpy(&value, entry + 8, 4);
    if (type == 3) {  // Two SHORTs stand in the entry itself.
      std::memset(entry + 10, 0, 2);
    } else {
      std::memset(tiff.data() + value + 4, 0, 4);
    }
  });
}

TEST(SlideTest, TransparencyIsWhite) {
  const TestFolder folder;
  // Only Aperio's slides may lack tiles.
  const PyramidOptions options{.width = 512, .height = 256, .description = "Aperio of a test"};
  const auto grey = [](int64_t, int64_t, std::span<uint8_t> rgb) {
    std::fill(rgb.begin(), rgb.end(), uint8_t{90});
  };
  ASSERT_TRUE(WritePyramid(folder / "a.tiff", options, grey).ok());
  std::string bytes = ReadBytes(folder / "a.tiff");
  DropSecondTile(bytes);
  WriteBytes(folder / "sparse.tiff", bytes);
  Result<Slide> slide = Slide::Open(folder / "sparse.tiff");
  ASSERT_TRUE(slide.ok()) << slide.status().message();
  std::vector<uint8_t> rgb(512 * 256 * 3);
  const Status status = slide->ReadRegion(0, 0, 0, 512, 256, rgb);
  ASSERT_TRUE(status.ok()) << status.message();
  for (size_t i = 0; i < rgb.size(); ++i) {
    ASSERT_NEAR(rgb[i], i / 3 % 512 < 256 ? 90 : 255, 2);
  }
}

// OpenSlide ends the process on the first read of such a file.
TEST(SlideTest, HugeTilesAreRejectedBeforeReading) {
  const TestFolder folder;
  ASSERT_NO_FATAL_FAILURE(WriteSlide(folder / "a.tiff", 300, 200));
  std::string bytes = ReadBytes(folder / "a.tiff");
  PatchTiles(bytes, uint32_t{1} << 30U);
  WriteBytes(folder / "bomb.tiff", bytes);
  const Result<Slide> slide = Slide::Open(folder / "bomb.tiff");
  ASSERT_FALSE(slide.ok());
  EXPECT_EQ(slide.status().code(), ErrorCode::kInvalidInput);
  EXPECT_THAT(slide.status().message(), HasSubstr("1073741824"));
}

TEST(SlideTest, TruncationIsAnErrorOrTheSamePixels) {
  const TestFolder folder;
  ASSERT_NO_FATAL_FAILURE(WriteSlide(folder / "a.tiff", 600, 300));
  const std::string bytes = ReadBytes(folder / "a.tiff");
  int opened = 0;
  for (size_t size = 0; size < bytes.size(); size += bytes.size() / 97) {
    WriteBytes(folder / "cut.tiff", bytes.substr(0, size));
    Result<Slide> slide = Slide::Open(folder / "cut.tiff");
    if (!slide.ok()) {
      EXPECT_EQ(slide.status().code(), ErrorCode::kInvalidInput);
      continue;
    }
    ++opened;
    std::vector<uint8_t> rgb(600 * 300 * 3);
    const Status status = slide->ReadRegion(0, 0, 0, 600, 300, rgb);
    EXPECT_TRUE(status.ok() || status.code() == ErrorCode::kInvalidInput) << status.message();
  }
  EXPECT_LT(opened, 97);
}

// A file that is whole again at the second try is read.
TEST(SlideTest, RetryReopensTheFile) {
  const TestFolder folder;
  ASSERT_NO_FATAL_FAILURE(WriteSlide(folder / "a.tiff", 512, 512));
  const std::string good = ReadBytes(folder / "a.tiff");
  Result<Slide> slide = Slide::Open(folder / "a.tiff");
  ASSERT_TRUE(slide.ok());
  std::string damaged = good;
  std::fill(damaged.begin() + 16, damaged.begin() + 4000, '\xFF');
  WriteBytes(folder / "a.tiff", damaged);
  std::vector<uint8_t> rgb(256 * 256 * 3);
  EXPECT_FALSE(slide->ReadRegion(0, 0, 0, 256, 256, rgb).ok());
  WriteBytes(folder / "a.tiff", good);
  const Status status = slide->ReadRegion(0, 0, 0, 256, 256, rgb);
  EXPECT_TRUE(status.ok()) << status.message();
}

}  // namespace
}  // namespace wsi
