// Files that the tests of slides read and write.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "runtime/slides/synth.h"
#include "runtime/slides/tiff_pyramid.h"

namespace wsi {

// A folder of the test's own, removed at its end.
class TestFolder {
 public:
  TestFolder() {
    std::string name = testing::TempDir() + "/wsi-slides-XXXXXX";
    WSI_CHECK(mkdtemp(name.data()) != nullptr);
    path_ = std::filesystem::path(name).lexically_normal();
  }
  TestFolder(const TestFolder&) = delete;
  TestFolder& operator=(const TestFolder&) = delete;
  ~TestFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  std::string operator/(const std::string& name) const { return (path_ / name).string(); }
  std::string path() const { return path_.string(); }

 private:
  std::filesystem::path path_;
};

// The shared real slide `name`, or "" where the test data are missing.
inline std::string SharedSlide(const std::string& name) {
  const char* root = std::getenv("WSI_TEST_DATA");
  const std::filesystem::path path =
      std::filesystem::path(root == nullptr ? "../shared/data" : root) / "slides" / name;
  return std::filesystem::exists(path) ? path.string() : std::string();
}

#define WSI_SHARED_SLIDE(variable, name)                                                 \
  const std::string variable = SharedSlide(name);                                        \
  if (variable.empty()) {                                                                \
    GTEST_SKIP() << name << " is missing; set WSI_TEST_DATA to the folder of test data"; \
  }

inline std::string ReadBytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

inline void WriteBytes(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

// A synthetic slide of the given size.
inline void WriteSlide(const std::string& path, int64_t width, int64_t height, uint64_t seed = 1) {
  const Result<SlidePainter> painter = SlidePainter::Make(
      {.width = width, .height = height, .class_index = 0, .lesions = 1, .seed = seed});
  ASSERT_TRUE(painter.ok()) << painter.status().message();
  const Status status =
      WritePyramid(path, {.width = width, .height = height, .description = "", .force = true},
                   [&](int64_t x, int64_t y, std::span<uint8_t> rgb) {
                     painter->Paint(x, y, kPyramidTile, kPyramidTile, rgb);
                   });
  ASSERT_TRUE(status.ok()) << status.message();
}

}  // namespace wsi
