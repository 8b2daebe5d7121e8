#include "runtime/memory/spill_file.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <string>
#include <vector>

#include "tests/base/temp_folder.h"

namespace wsi {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr Bytes kBlock = 4096;

// A file system with habits and faults.
class TestOps : public FileOps {
 public:
  size_t most = SIZE_MAX;  // Bytes taken by one transfer.
  int interrupts = 0;      // So many transfers are interrupted first.
  int transfer_error = 0;  // Of every transfer.
  int open_error = 0;      // Of opening the file, not the folder.
  int allocate_error = 0;
  bool nameless_files = true;  // O_TMPFILE
  bool direct_opens = true;    // O_DIRECT
  bool direct_writes = true;
  Bytes free_bytes = -1;  // -1: what there is.
  int direct_transfers = 0;
  int cached_transfers = 0;

  int Open(const char* path, int flags, mode_t mode) override {
    const bool nameless = (flags & O_TMPFILE) == O_TMPFILE;
    const bool direct = (flags & O_DIRECT) != 0;
    if (open_error != 0 && (nameless || (flags & O_CREAT) != 0)) return Fail(open_error);
    if (nameless && !nameless_files) return Fail(EOPNOTSUPP);
    if (direct && !direct_opens) return Fail(EINVAL);
    const int fd = FileOps::Open(path, flags, mode);
    if (direct) direct_fd_ = fd;
    return fd;
  }
  int Allocate(int fd, off_t bytes) override {
    return allocate_error != 0 ? allocate_error : FileOps::Allocate(fd, bytes);
  }
  int Space(int fd, struct statvfs* space) override {
    const int result = FileOps::Space(fd, space);
    if (free_bytes >= 0) {
      space->f_frsize = 1;
      space->f_bavail = static_cast<fsblkcnt_t>(free_bytes);
    }
    return result;
  }
  ssize_t Read(int fd, void* data, size_t bytes, off_t offset) override {
    if (!Begin(fd)) return -1;
    return FileOps::Read(fd, data, std::min(bytes, Most(fd)), offset);
  }
  ssize_t Write(int fd, const void* data, size_t bytes, off_t offset) override {
    if (fd == direct_fd_ && !direct_writes) return Fail(EINVAL);
    if (!Begin(fd)) return -1;
    return FileOps::Write(fd, data, std::min(bytes, Most(fd)), offset);
  }

 private:
  static int Fail(int error) {
    errno = error;
    return -1;
  }
  // Past the cache, transfers end between blocks.
  size_t Most(int fd) const {
    return fd == direct_fd_ ? std::max<size_t>(kBlock, most / kBlock * kBlock) : most;
  }
  bool Begin(int fd) {
    if (interrupts-- > 0) return Fail(EINTR) == 0;
    if (transfer_error != 0) return Fail(transfer_error) == 0;
    ++(fd == direct_fd_ ? direct_transfers : cached_transfers);
    return true;
  }
  int direct_fd_ = -1;
};

// Bytes that begin at a multiple of a block, plus `shift`.
class Buffer {
 public:
  explicit Buffer(Bytes bytes, Bytes shift = 0)
      : memory_(static_cast<size_t>(bytes + 2 * kBlock)), bytes_(static_cast<size_t>(bytes)) {
    const auto address = reinterpret_cast<uintptr_t>(memory_.data());
    start_ = static_cast<size_t>(AlignUp(static_cast<int64_t>(address), kBlock) + shift -
                                 static_cast<int64_t>(address));
  }
  std::span<std::byte> span() { return std::span(memory_).subspan(start_, bytes_); }
  void Count(int from) {
    for (std::byte& b : span()) b = static_cast<std::byte>(from++ * 31 / 7);
  }

 private:
  std::vector<std::byte> memory_;
  size_t bytes_;
  size_t start_ = 0;
};

// Writes ranges of every alignment and reads them back.
void ExpectRoundTrips(const SpillFile& file) {
  for (const Bytes bytes : {Bytes{1}, kBlock, kBlock + 5, 5 * kBlock, 7 * kBlock - 1}) {
    for (const Bytes offset : {Bytes{0}, Bytes{256}, 3 * kBlock}) {
      for (const Bytes shift : {Bytes{0}, Bytes{256}}) {
        Buffer out(bytes, shift);
        Buffer in(bytes, shift);
        out.Count(static_cast<int>(bytes + offset));
        ASSERT_EQ(file.Write(offset, out.span()).message(), "");
        ASSERT_EQ(file.Read(offset, in.span()).message(), "");
        ASSERT_TRUE(std::equal(in.span().begin(), in.span().end(), out.span().begin()))
            << bytes << " at " << offset << " and " << shift;
      }
    }
  }
}

TEST(SpillFile, KeepsWhatIsWritten) {
  const TempFolder folder;
  TestOps ops;
  const auto file = SpillFile::Create({.folder = folder.Path("."), .ops = &ops}, 10 * kBlock - 7);
  ASSERT_TRUE(file.ok()) << file.status().message();
  EXPECT_EQ((*file)->size(), 10 * kBlock);
  EXPECT_EQ(folder.Count(), 0U) << "its name should be gone";
  ExpectRoundTrips(**file);
  EXPECT_EQ(ops.direct_transfers > 0, (*file)->is_direct());
  EXPECT_GT(ops.cached_transfers, 0);
}

TEST(SpillFile, DisjointRangesStayApart) {
  const TempFolder folder;
  const auto file = SpillFile::Create({.folder = folder.Path(".")}, 4 * kBlock).value();
  Buffer low(kBlock + 100);
  Buffer high(2 * kBlock);
  low.Count(1);
  high.Count(2);
  ASSERT_TRUE(file->Write(2 * kBlock, high.span()).ok());
  ASSERT_TRUE(file->Write(0, low.span()).ok());
  Buffer seen(2 * kBlock);
  ASSERT_TRUE(file->Read(2 * kBlock, seen.span()).ok());
  EXPECT_TRUE(std::equal(seen.span().begin(), seen.span().end(), high.span().begin()));
}

TEST(SpillFile, ShortAndInterruptedTransfersGoOn) {
  const TempFolder folder;
  for (const size_t most : {size_t{1000}, size_t{4096}, size_t{5000}}) {
    TestOps ops;
    ops.most = SIZE_MAX;
    const auto file = SpillFile::Create({.folder = folder.Path("."), .ops = &ops}, 10 * kBlock);
    ASSERT_TRUE(file.ok());
    ops.most = most;
    ops.interrupts = 3;
    ExpectRoundTrips(**file);
  }
}

TEST(SpillFile, WorksThroughTheCacheWhereItMust) {
  for (const bool opens : {false, true}) {
    const TempFolder folder;
    TestOps ops;
    ops.direct_opens = opens;
    ops.direct_writes = false;
    const auto file = SpillFile::Create({.folder = folder.Path("."), .ops = &ops}, 10 * kBlock);
    ASSERT_TRUE(file.ok());
    EXPECT_FALSE((*file)->is_direct());
    ExpectRoundTrips(**file);
    EXPECT_EQ(ops.direct_transfers, 0);
  }
}

TEST(SpillFile, LosesItsNameWhereFilesNeedOne) {
  const TempFolder folder;
  TestOps ops;
  ops.nameless_files = false;
  const auto file = SpillFile::Create({.folder = folder.Path("."), .ops = &ops}, 10 * kBlock);
  ASSERT_TRUE(file.ok()) << file.status().message();
  EXPECT_EQ(folder.Count(), 0U);
  ExpectRoundTrips(**file);
}

TEST(SpillFile, NoFolderIsAUsageError) {
  const Status status = SpillFile::Create({}, 3 << 20).status();
  EXPECT_EQ(status.code(), ErrorCode::kUsage);
  EXPECT_THAT(status.message(),
              AllOf(HasSubstr("--spill-dir"), HasSubstr("3.0 MiB"), HasSubstr("(3145728 bytes)")));
}

// What needs `bytes` is refused with a message that says so.
void ExpectRefused(SpillFileOptions options, Bytes bytes, const std::string& reason) {
  const Status status = SpillFile::Create(options, bytes).status();
  EXPECT_EQ(status.code(), ErrorCode::kResources) << status.message();
  EXPECT_THAT(status.message(), AllOf(HasSubstr(reason), HasSubstr(std::to_string(bytes))));
}

TEST(SpillFile, BadFoldersAreRefused) {
  const TempFolder folder;
  folder.Put("file", "x");
  ExpectRefused({.folder = folder.Path("none")}, kBlock, "No such file");
  ExpectRefused({.folder = folder.Path("file")}, kBlock, "Not a directory");
  TestOps read_only;
  read_only.open_error = EROFS;
  ExpectRefused({.folder = folder.Path("."), .ops = &read_only}, kBlock, "Read-only file system");
  EXPECT_EQ(folder.Count(), 1U);
}

TEST(SpillFile, FullDisksAreRefusedBeforeTheRun) {
  const TempFolder folder;
  TestOps small;
  small.free_bytes = 3 << 20;
  ExpectRefused({.folder = folder.Path("."), .ops = &small}, 4 << 20,
                "needs 4.0 MiB, available 3.0 MiB");
  TestOps quota;  // Of which nothing is told beforehand.
  quota.allocate_error = EDQUOT;
  ExpectRefused({.folder = folder.Path("."), .ops = &quota}, kBlock, "needs 4.0 KiB");
  ExpectRefused({.folder = folder.Path(".")}, Bytes{1} << 60, "available");
  EXPECT_EQ(folder.Count(), 0U);
}

TEST(SpillFile, KeepsToItsLimit) {
  const TempFolder folder;
  ExpectRefused({.folder = folder.Path("."), .limit = kBlock}, 2 * kBlock,
                "--spill-mem allows 4.0 KiB; raise it to 8192B");
  EXPECT_TRUE(SpillFile::Create({.folder = folder.Path("."), .limit = kBlock}, kBlock).ok());
}

TEST(SpillFile, KeepsToTheLimitOfTheProcess) {
  const TempFolder folder;
  rlimit old = {};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &old), 0);
  rlimit lower = old;
  lower.rlim_cur = 1 << 20;
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &lower), 0);
  ExpectRefused({.folder = folder.Path(".")}, 2 << 20, "ulimit -f");
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &old), 0);
}

TEST(SpillFile, TransferErrorsNameTheFolder) {
  const TempFolder folder;
  TestOps ops;
  const auto file = SpillFile::Create({.folder = folder.Path("."), .ops = &ops}, kBlock).value();
  Buffer buffer(kBlock);
  ops.transfer_error = EIO;
  EXPECT_EQ(file->Read(0, buffer.span()).code(), ErrorCode::kIo);
  EXPECT_THAT(file->Read(0, buffer.span()).message(), HasSubstr(folder.Path(".")));
  ops.transfer_error = ENOSPC;
  EXPECT_EQ(file->Write(0, buffer.span()).code(), ErrorCode::kResources);
}

}  // namespace
}  // namespace wsi
