// Files that a model names: opened beneath the model's folder only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "runtime/base/status.h"

namespace wsi {

// A file descriptor, closed at the end. Move-only.
class OpenFile {
 public:
  OpenFile() = default;
  explicit OpenFile(int fd) : fd_(fd) {}
  OpenFile(OpenFile&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
  OpenFile& operator=(OpenFile&& other) noexcept;
  ~OpenFile();

  int fd() const { return fd_; }
  bool valid() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

// Opens a regular file for reading and gives its size; never waits (on a FIFO).
Result<OpenFile> OpenRegular(const std::string& path, int64_t* size);

// The part of `path` before its last '/', or ".".
std::string FolderOf(const std::string& path);

// Reads external tensor data of one model. The folder is opened once, and every
// component of a location is opened by descriptor relative to the one before it,
// without following links: nothing that is renamed meanwhile can lead outside.
class ExternalData {
 public:
  explicit ExternalData(std::string folder) : folder_(std::move(folder)) {}

  // Fills `to` from byte `offset` of the file at `location`.
  // Refused: absolute or empty locations, ".." and NUL, symbolic links, hard links,
  // anything but a regular file, and a range that does not lie inside the file.
  Status Read(std::string_view location, int64_t offset, std::span<std::byte> to);
  // The size of the file, after the same checks.
  Result<int64_t> Size(std::string_view location);

 private:
  Status Open(std::string_view location);

  std::string folder_;
  OpenFile folder_file_;
  std::string location_;  // The file that is open, so that tensors in a row share it.
  OpenFile file_;
  int64_t size_ = 0;
};

}  // namespace wsi
