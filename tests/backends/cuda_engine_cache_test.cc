// Choices of cuDNN's engines in files: what is kept is found, what is damaged is said and
// written again.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>

#include "runtime/backends/cuda/engine_cache.h"
#include "tests/base/temp_folder.h"

namespace wsi::cuda {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr std::string_view kKey = "NVIDIA H100, cuDNN 91900: forward f16 1x64x64x3";
const EngineChoice kChoice = {.engine = 39, .knobs = {{2, 1}, {14, -3}, {37, 1LL << 40}}};

class EngineCacheTest : public testing::Test {
 protected:
  EngineCache Make() {
    return EngineCache(folder_, [this](const std::string& line) { lines_.push_back(line); });
  }
  std::filesystem::path OnlyFile() const {
    const std::filesystem::directory_iterator files(folder_);
    return files->path();
  }

  TempFolder parent_;
  std::string folder_ = parent_.Path("cache");
  std::vector<std::string> lines_;
};

TEST_F(EngineCacheTest, FindsWhatAnotherProcessKept) {
  EXPECT_EQ(Make().Find(kKey), std::nullopt);
  Make().Keep(kKey, kChoice);
  EXPECT_EQ(Make().Find(kKey), kChoice);
  EXPECT_EQ(Make().Find("NVIDIA H100, cuDNN 92000: forward f16 1x64x64x3"), std::nullopt);
  EXPECT_THAT(lines_, IsEmpty());
}

TEST_F(EngineCacheTest, EveryTruncationAndFlippedBitIsSeen) {
  const std::string text = EngineCache::Print(kKey, kChoice);
  ASSERT_EQ(EngineCache::Parse(kKey, text).value(), kChoice);
  for (size_t size = 0; size < text.size(); ++size) {
    EXPECT_FALSE(EngineCache::Parse(kKey, text.substr(0, size)).ok()) << size;
  }
  for (size_t bit = 0; bit < 8 * text.size(); ++bit) {
    std::string other = text;
    other[bit / 8] = static_cast<char>(other[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_FALSE(EngineCache::Parse(kKey, other).ok()) << other;
  }
  EXPECT_FALSE(EngineCache::Parse(kKey, text + " ").ok());
}

TEST_F(EngineCacheTest, ADamagedFileIsSaidIgnoredAndReplaced) {
  Make().Keep(kKey, kChoice);
  std::ofstream(OnlyFile()) << "garbage";
  EXPECT_EQ(Make().Find(kKey), std::nullopt);
  EXPECT_THAT(lines_, ElementsAre(HasSubstr(OnlyFile().string())));
  EXPECT_THAT(lines_, ElementsAre(HasSubstr("is ignored and written again")));
  Make().Keep(kKey, kChoice);
  EXPECT_EQ(Make().Find(kKey), kChoice);
}

TEST_F(EngineCacheTest, AFileWithoutEndIsNotReadToItsEnd) {
  Make().Keep(kKey, kChoice);
  std::filesystem::resize_file(OnlyFile(), uintmax_t{1} << 33);
  EXPECT_EQ(Make().Find(kKey), std::nullopt);
  EXPECT_EQ(lines_.size(), 1U);
}

TEST_F(EngineCacheTest, AFolderThatCannotBeMadeCostsALine) {
  folder_ = "/dev/null/cache";
  Make().Keep(kKey, kChoice);
  EXPECT_THAT(lines_, ElementsAre(HasSubstr("not kept")));
  EXPECT_EQ(Make().Find(kKey), std::nullopt);
}

TEST_F(EngineCacheTest, WithoutAFolderNothingIsKept) {
  const EngineCache cache("", nullptr);
  cache.Keep(kKey, kChoice);
  EXPECT_EQ(cache.Find(kKey), std::nullopt);
}

TEST_F(EngineCacheTest, ReadersSeeWholeFilesWhileOthersWrite) {
  const EngineCache cache(folder_, [](const std::string& line) { ADD_FAILURE() << line; });
  cache.Keep(kKey, kChoice);
  std::atomic<bool> stop = false;
  std::thread reader([&] {
    while (!stop) EXPECT_TRUE(cache.Find(kKey).has_value());
  });
  for (int i = 0; i < 20; ++i) cache.Keep(kKey, kChoice);
  stop = true;
  reader.join();
}

}  // namespace
}  // namespace wsi::cuda
