// The file tier's arena: a file without a name, on a disk of the user's choice.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "runtime/base/checked.h"
#include "runtime/base/file.h"
#include "runtime/base/status.h"

namespace wsi {

struct SpillFileOptions {
  std::string folder;      // Empty: plans that need a file are refused.
  Bytes limit = -1;        // Of the file's size; -1: what the disk has.
  FileOps* ops = nullptr;  // Outlives the file; null: FileOps::System().
};

// The file has no name, so that nothing is left behind however the process ends, and
// its space is reserved when it is made, so that a full disk shows before the first
// step. Transfers go past the page cache (O_DIRECT) where the file system takes that
// and offset and address are multiples of 4096; what remains of a length goes through
// the cache.
//
// Thread safety: transfers of disjoint ranges may run at the same time.
class SpillFile {
 public:
  // kUsage where no folder is given; otherwise kResources, naming needed and available
  // bytes, where the folder does not take the file.
  static Result<std::unique_ptr<SpillFile>> Create(const SpillFileOptions& options, Bytes bytes);
  ~SpillFile();
  SpillFile(const SpillFile&) = delete;
  SpillFile& operator=(const SpillFile&) = delete;

  Bytes size() const { return size_; }
  bool is_direct() const { return direct_fd_ >= 0; }

  // All of the range, or an error. REQUIRES: it lies in the file.
  Status Read(Bytes offset, std::span<std::byte> to) const;
  Status Write(Bytes offset, std::span<const std::byte> from) const;

 private:
  SpillFile(std::string folder, FileOps* ops, int fd, Bytes size)
      : folder_(std::move(folder)), ops_(ops), fd_(fd), size_(size) {}
  void OpenDirect();
  // The descriptor that takes the start of this run of bytes, and how many of them.
  int FdFor(Bytes offset, const std::byte* address, size_t* bytes) const;
  Status TransferError(std::string_view action, Bytes offset, int error) const;

  std::string folder_;
  FileOps* ops_;
  int fd_;
  int direct_fd_ = -1;
  Bytes size_;
};

}  // namespace wsi
