#include "runtime/base/file.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>

#include "tests/base/temp_folder.h"

namespace wsi {
namespace {

using testing::HasSubstr;

// Fails the n-th call of each kind (from 1) with an error.
class FailingOps : public FileOps {
 public:
  int fail_write = 0;
  int fail_sync = 0;
  int fail_rename = 0;
  int error = ENOSPC;
  size_t most = SIZE_MAX;  // Bytes taken by one write.

  ssize_t Write(int fd, const void* data, size_t bytes, off_t offset) override {
    if (--fail_write == 0) return Fail();
    return FileOps::Write(fd, data, std::min(bytes, most), offset);
  }
  int Sync(int fd) override { return --fail_sync == 0 ? Fail() : FileOps::Sync(fd); }
  int Rename(const char* from, const char* to) override {
    return --fail_rename == 0 ? Fail() : FileOps::Rename(from, to);
  }

 private:
  int Fail() {
    errno = error;
    return -1;
  }
};

TEST(File, WritesWholeAndReadsBack) {
  const TempFolder folder;
  const std::string path = folder.Path("a");
  ASSERT_TRUE(WriteFile(path, "hello", {}).ok());
  EXPECT_EQ(ReadFile(path, 5).value(), "hello");
  EXPECT_EQ(ReadFile(path, 4).status().code(), ErrorCode::kInvalidInput);
  EXPECT_EQ(folder.Count(), 1U);
}

TEST(File, ReplacesOnlyWithForce) {
  const TempFolder folder;
  const std::string path = folder.Path("a");
  ASSERT_TRUE(WriteFile(path, "old", {}).ok());
  const Status refused = WriteFile(path, "new", {});
  EXPECT_EQ(refused.code(), ErrorCode::kUsage);
  EXPECT_THAT(refused.message(), HasSubstr("--force"));
  EXPECT_EQ(ReadFile(path, 100).value(), "old");
  ASSERT_TRUE(WriteFile(path, "new", {.force = true}).ok());
  EXPECT_EQ(ReadFile(path, 100).value(), "new");
}

TEST(File, RefusesAFileThatAppearedMeanwhile) {
  const TempFolder folder;
  OutputFile file = OutputFile::Create(folder.Path("a"), {}).value();
  ASSERT_TRUE(file.Write("mine").ok());
  ASSERT_TRUE(WriteFile(folder.Path("a"), "theirs", {}).ok());
  EXPECT_EQ(file.Commit().code(), ErrorCode::kUsage);
  EXPECT_EQ(ReadFile(folder.Path("a"), 100).value(), "theirs");
  EXPECT_EQ(folder.Count(), 1U);
}

TEST(File, UncommittedLeavesNothing) {
  const TempFolder folder;
  {
    OutputFile file = OutputFile::Create(folder.Path("a"), {}).value();
    ASSERT_TRUE(file.Write("half").ok());
    EXPECT_FALSE(std::filesystem::exists(folder.Path("a")));
  }
  EXPECT_EQ(folder.Count(), 0U);
}

TEST(File, StreamsAlignsAndPatches) {
  const TempFolder folder;
  FailingOps slow;
  slow.most = 3;  // Short writes are continued.
  OutputFile file = OutputFile::Create(folder.Path("a"), {.ops = &slow}).value();
  ASSERT_TRUE(file.Write("abcde").ok());
  ASSERT_TRUE(file.Align(8).ok());
  EXPECT_EQ(file.position(), 8);
  const std::string patch = "XY";
  ASSERT_TRUE(file.WriteAt(1, std::as_bytes(std::span(patch))).ok());
  ASSERT_TRUE(file.Commit().ok());
  EXPECT_EQ(ReadFile(folder.Path("a"), 100).value(), std::string("aXYde\0\0\0", 8));
}

TEST(File, EveryFailureKeepsTheOldFile) {
  const TempFolder folder;
  const std::string path = folder.Path("a");
  ASSERT_TRUE(WriteFile(path, "old", {}).ok());
  for (const int kind : {0, 1, 2}) {
    FailingOps ops;
    (kind == 0 ? ops.fail_write : kind == 1 ? ops.fail_sync : ops.fail_rename) = 1;
    const Status status = WriteFile(path, "new", {.force = true, .ops = &ops});
    EXPECT_EQ(status.code(), ErrorCode::kResources) << kind;
    EXPECT_THAT(status.message(), HasSubstr("No space left on device"));
    EXPECT_THAT(status.message(), HasSubstr(path));
    EXPECT_EQ(ReadFile(path, 100).value(), "old");
    EXPECT_EQ(folder.Count(), 1U);
  }
  FailingOps broken;
  broken.fail_write = 1;
  broken.error = EIO;
  EXPECT_EQ(WriteFile(path, "new", {.force = true, .ops = &broken}).code(), ErrorCode::kIo);
}

TEST(File, RefusesWhatIsNoRegularFile) {
  const TempFolder folder;
  EXPECT_EQ(WriteFile("/dev/null", "x", {.force = true}).code(), ErrorCode::kIo);
  EXPECT_EQ(WriteFile(folder.Path("no/such/folder"), "x", {}).code(), ErrorCode::kIo);
  ASSERT_EQ(::mkfifo(folder.Path("fifo").c_str(), 0600), 0);
  EXPECT_EQ(ReadFile(folder.Path("fifo"), 10).status().code(), ErrorCode::kIo);  // Returns.
  EXPECT_EQ(ReadFile(folder.Path("missing"), 10).status().code(), ErrorCode::kIo);
  EXPECT_EQ(ReadFile(folder.Path(""), 10).status().code(), ErrorCode::kIo);
}

TEST(File, WritesThroughALink) {
  const TempFolder folder;
  ASSERT_TRUE(WriteFile(folder.Path("real"), "old", {}).ok());
  std::filesystem::create_symlink(folder.Path("real"), folder.Path("link"));
  ASSERT_TRUE(WriteFile(folder.Path("link"), "new", {.force = true}).ok());
  EXPECT_TRUE(std::filesystem::is_symlink(folder.Path("link")));
  EXPECT_EQ(ReadFile(folder.Path("real"), 100).value(), "new");
}

TEST(File, ReadsPastTheEndAreTruncation) {
  const TempFolder folder;
  ASSERT_TRUE(WriteFile(folder.Path("a"), "12345", {}).ok());
  const InputFile file = InputFile::Open(folder.Path("a")).value();
  std::array<std::byte, 4> out{};
  EXPECT_TRUE(file.ReadAt(1, out).ok());
  const Status status = file.ReadAt(2, out);
  EXPECT_EQ(status.code(), ErrorCode::kInvalidInput);
  EXPECT_THAT(status.message(), HasSubstr("truncated"));
}

}  // namespace
}  // namespace wsi
