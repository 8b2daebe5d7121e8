#include "runtime/slides/survey.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "runtime/base/content_hash.h"
#include "tests/slides/slide_files.h"

namespace wsi {
namespace {

using testing::HasSubstr;

class SurveyTest : public testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::create_directories(folder_ / "normal/deep");
    std::filesystem::create_directories(folder_ / "tumor");
    ASSERT_NO_FATAL_FAILURE(WriteSlide(folder_ / "normal/a.tiff", 300, 200, 1));
    ASSERT_NO_FATAL_FAILURE(WriteSlide(folder_ / "normal/deep/b.TIFF", 300, 200, 2));
    ASSERT_NO_FATAL_FAILURE(WriteSlide(folder_ / "tumor/a.tiff", 300, 200, 3));
    WriteBytes(folder_ / "tumor/broken.svs", "not a slide");
    WriteBytes(folder_ / "tumor/notes.txt", "not even called one");
  }

  Manifest ScanAndRead() {
    const Scan scan = ScanFolder(folder_.path(), {.labels_from_folders = true}).value();
    EXPECT_TRUE(WriteManifest(folder_ / "m.csv", scan.rows, true).ok());
    return ReadManifest(folder_ / "m.csv").value();
  }

  TestFolder folder_;
};

TEST_F(SurveyTest, ScanFindsEverySlideWithHashAndScale) {
  const Scan scan = ScanFolder(folder_.path(), {.labels_from_folders = true}).value();
  ASSERT_EQ(scan.rows.size(), 3U);
  EXPECT_EQ(scan.rows[0].slide_id, "normal/a.tiff");  // There are two called a.
  EXPECT_EQ(scan.rows[1].slide_id, "b");
  EXPECT_EQ(scan.rows[2].label, "tumor");
  EXPECT_NEAR(scan.rows[0].mpp.value(), 0.5, 1e-6);
  EXPECT_EQ(scan.rows[0].hash, HashFile(folder_ / "normal/a.tiff").value());
  EXPECT_TRUE(IsContentHash(scan.rows[0].hash));
  ASSERT_EQ(scan.skipped.size(), 1U);
  EXPECT_THAT(scan.skipped[0], HasSubstr("broken.svs"));
}

TEST_F(SurveyTest, FoldersWithoutSlidesAreErrors) {
  EXPECT_EQ(ScanFolder(folder_ / "nowhere").status().code(), ErrorCode::kIo);
  std::filesystem::create_directories(folder_ / "empty");
  EXPECT_EQ(ScanFolder(folder_ / "empty").status().code(), ErrorCode::kInvalidInput);
}

TEST_F(SurveyTest, WholeSlidesPass) {
  const Manifest manifest = ScanAndRead();
  EXPECT_TRUE(VerifySlides(manifest).empty());
}

// A flipped bit may change pixels without any complaint from the decoder; the hash sees it.
TEST_F(SurveyTest, EveryFlippedBitIsFound) {
  const Manifest manifest = ScanAndRead();
  const std::string path = folder_ / "tumor/a.tiff";
  const std::string good = ReadBytes(path);
  for (size_t at = 8; at < good.size(); at += good.size() / 40) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 4);
    WriteBytes(path, bad);
    const std::vector<Finding> findings = VerifySlides(manifest);
    ASSERT_FALSE(findings.empty()) << "byte " << at;
    EXPECT_EQ(findings[0].kind, FindingKind::kHashDiffers);
    EXPECT_EQ(findings[0].slide_id, "tumor/a.tiff");
  }
}

TEST_F(SurveyTest, MissingAndUndecodableSlidesAreFound) {
  const Manifest manifest = ScanAndRead();
  std::filesystem::remove(folder_ / "normal/a.tiff");
  const std::vector<Finding> findings = VerifySlides(manifest);
  ASSERT_EQ(findings.size(), 1U);
  EXPECT_EQ(findings[0].kind, FindingKind::kUnreadable);
  WSI_SHARED_SLIDE(unreadable, "unreadable.svs");
  Manifest other;
  other.rows.resize(1);
  other.rows[0].slide_id = "u";
  other.rows[0].path = unreadable;
  const std::vector<Finding> of_other = VerifySlides(other);
  ASSERT_EQ(of_other.size(), 1U);
  EXPECT_THAT(of_other[0].message, HasSubstr("Bogus marker length"));
}

TEST_F(SurveyTest, RegionOutsideItsSlideIsFound) {
  Manifest manifest = ScanAndRead();
  manifest.rows[0].region = SlideRegion{200, 0, 101, 50};
  ASSERT_EQ(VerifySlides(manifest).size(), 1U);
  manifest.rows[0].region = SlideRegion{200, 0, 100, 50};
  EXPECT_TRUE(VerifySlides(manifest).empty());
}

}  // namespace
}  // namespace wsi
