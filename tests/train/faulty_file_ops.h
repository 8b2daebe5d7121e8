// File operations of which one fails, or before which the process dies.
#pragma once

#include <unistd.h>

#include <cerrno>
#include <limits>

#include "runtime/base/file.h"

namespace wsi {

class FaultyFileOps : public FileOps {
 public:
  enum class Fault { kDiskFull, kKill };
  static constexpr int kNever = std::numeric_limits<int>::max();
  static constexpr int kKilled = 9;  // The exit code of a process that was.

  // The fault strikes operation `at`, counted from 0.
  FaultyFileOps(Fault fault, int at) : fault_(fault), at_(at) {}

  ssize_t Write(int fd, const void* data, size_t bytes, off_t offset) override {
    if (Strikes()) {
      // A full disk takes some of it before it refuses.
      if (bytes > 1 && FileOps::Write(fd, data, bytes / 2, offset) < 0) return -1;
      return Fail();
    }
    return FileOps::Write(fd, data, bytes, offset);
  }
  int Sync(int fd) override { return Strikes() ? Fail() : FileOps::Sync(fd); }
  int Rename(const char* from, const char* to) override {
    return Strikes() ? Fail() : FileOps::Rename(from, to);
  }
  bool struck() const { return count_ > at_; }

 private:
  bool Strikes() { return count_++ == at_; }
  int Fail() const {
    if (fault_ == Fault::kKill) _exit(kKilled);
    errno = ENOSPC;
    return -1;
  }

  Fault fault_;
  int at_;
  int count_ = 0;
};

}  // namespace wsi
