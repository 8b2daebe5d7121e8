// Files: reading with a size cap, and writing that either replaces the whole file
// or leaves what was there.
//
// Errors are kIo with the path and the system's reason; a full disk or quota is
// kResources.
#pragma once

#include <sys/statvfs.h>
#include <sys/types.h>

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "runtime/base/checked.h"
#include "runtime/base/status.h"

namespace wsi {

// What writing and spilling ask of the operating system: the one seam for fault
// injection. Each call behaves, errno included, as its namesake.
class FileOps {
 public:
  virtual ~FileOps() = default;
  virtual int Open(const char* path, int flags, mode_t mode);            // open
  virtual int Allocate(int fd, off_t bytes);                             // posix_fallocate, from 0
  virtual int Space(int fd, struct statvfs* space);                      // fstatvfs
  virtual ssize_t Read(int fd, void* data, size_t bytes, off_t offset);  // pread
  virtual ssize_t Write(int fd, const void* data, size_t bytes, off_t offset);  // pwrite
  virtual int Sync(int fd);                                                     // fsync
  virtual int Rename(const char* from, const char* to);                         // rename
  static FileOps& System();
};

struct OutputOptions {
  bool force = false;      // Replace a file that exists.
  FileOps* ops = nullptr;  // Outlives the file; null: FileOps::System().
};

// Fails (kUsage, naming --force) if `path` exists and `force` is not set, or if it
// is something that no file may replace. For asking before long work.
Status CheckOutputPath(const std::string& path, bool force);

// A file being written under a temporary name beside its own. Commit makes it
// durable (fsync) and visible (rename, fsync of the folder) in one step; without
// Commit the destructor removes it and the old file stays.
// Move-only. Not thread-safe.
class OutputFile {
 public:
  static Result<OutputFile> Create(const std::string& path, OutputOptions options);
  OutputFile(OutputFile&& other) noexcept;
  OutputFile& operator=(OutputFile&&) = delete;
  ~OutputFile();

  // Appends.
  Status Write(std::span<const std::byte> bytes);
  Status Write(std::string_view text);
  // Appends zeros until position() is a multiple of `alignment`.
  Status Align(Bytes alignment);
  // Overwrites bytes that are already written. REQUIRES: they are.
  Status WriteAt(Bytes offset, std::span<const std::byte> bytes);
  Bytes position() const { return position_; }
  // REQUIRES: not committed yet. After an error the file is given up.
  Status Commit();

 private:
  OutputFile(std::string path, std::string temporary, int fd, OutputOptions options);
  Status WriteRange(Bytes offset, std::span<const std::byte> bytes);
  void Discard();

  std::string path_;
  std::string temporary_;
  int fd_ = -1;
  OutputOptions options_;
  Bytes position_ = 0;
};

// A regular file open for reading. Move-only. Thread-safe.
class InputFile {
 public:
  static Result<InputFile> Open(const std::string& path);
  InputFile(InputFile&& other) noexcept;
  InputFile& operator=(InputFile&&) = delete;
  ~InputFile();

  const std::string& path() const { return path_; }
  Bytes size() const { return size_; }  // When it was opened.
  // Fills `out` from `offset`; kInvalidInput ("truncated") where the file ends first.
  Status ReadAt(Bytes offset, std::span<std::byte> out) const;

 private:
  InputFile(std::string path, int fd, Bytes size);

  std::string path_;
  int fd_ = -1;
  Bytes size_ = 0;
};

// The whole file; kInvalidInput if it is larger than `max_bytes`.
Result<std::string> ReadFile(const std::string& path, Bytes max_bytes);
// OutputFile with these contents, committed.
Status WriteFile(const std::string& path, std::string_view contents, OutputOptions options);

// Makes renames and removals in a folder durable.
Status SyncFolder(const std::string& folder, FileOps* ops = nullptr);

}  // namespace wsi
