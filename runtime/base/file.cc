#include "runtime/base/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <system_error>
#include <utility>

namespace wsi {
namespace {

Status FileError(std::string_view action, const std::string& path, int error) {
  std::string message =
      fmt::format("cannot {} '{}': {}", action, path, std::generic_category().message(error));
  if (error == ENOSPC || error == EDQUOT || error == EFBIG || error == ENOMEM) {
    return ResourceError(std::move(message));
  }
  return IoError(std::move(message));
}

std::string FolderOf(const std::string& path) {
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  return folder.empty() ? "." : folder.string();
}

// Where writing `path` really lands: the end of a symbolic link that exists.
std::string FollowLink(const std::string& path) {
  std::error_code error;
  const std::filesystem::path target = std::filesystem::canonical(path, error);
  return error ? path : target.string();
}

FileOps& OpsOf(FileOps* ops) { return ops != nullptr ? *ops : FileOps::System(); }

}  // namespace

int FileOps::Open(const char* path, int flags, mode_t mode) { return ::open(path, flags, mode); }
int FileOps::Allocate(int fd, off_t bytes) { return ::posix_fallocate(fd, 0, bytes); }
int FileOps::Space(int fd, struct statvfs* space) { return ::fstatvfs(fd, space); }
ssize_t FileOps::Read(int fd, void* data, size_t bytes, off_t offset) {
  return ::pread(fd, data, bytes, offset);
}
ssize_t FileOps::Write(int fd, const void* data, size_t bytes, off_t offset) {
  return ::pwrite(fd, data, bytes, offset);
}
int FileOps::Sync(int fd) { return ::fsync(fd); }
int FileOps::Rename(const char* from, const char* to) { return std::rename(from, to); }
FileOps& FileOps::System() {
  static FileOps system;  // Has no state.
  return system;
}

Status CheckOutputPath(const std::string& path, bool force) {
  struct stat info = {};
  if (::stat(path.c_str(), &info) != 0) {
    // A link to nothing is written through like a new file's name.
    if (errno == ENOENT) return {};
    return FileError("write", path, errno);
  }
  if (!S_ISREG(info.st_mode)) {
    return IoError(fmt::format("cannot write '{}': it exists and is not a regular file", path));
  }
  if (!force) return UsageError(fmt::format("'{}' exists; give --force to replace it", path));
  return {};
}

OutputFile::OutputFile(std::string path, std::string temporary, int fd, OutputOptions options)
    : path_(std::move(path)), temporary_(std::move(temporary)), fd_(fd), options_(options) {}

OutputFile::OutputFile(OutputFile&& other) noexcept
    : path_(std::move(other.path_)),
      temporary_(std::move(other.temporary_)),
      fd_(std::exchange(other.fd_, -1)),
      options_(other.options_),
      position_(other.position_) {}

OutputFile::~OutputFile() { Discard(); }

Result<OutputFile> OutputFile::Create(const std::string& path, OutputOptions options) {
  WSI_RETURN_IF_ERROR(CheckOutputPath(path, options.force));
  const std::string target = FollowLink(path);
  for (int attempt = 0; attempt < 1000; ++attempt) {
    std::string temporary = fmt::format("{}.tmp-{}-{}", target, ::getpid(), attempt);
    const int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd >= 0) return OutputFile(target, std::move(temporary), fd, options);
    if (errno != EEXIST) return FileError("write", path, errno);
  }
  return IoError(fmt::format("cannot write '{}': too many temporary files beside it", path));
}

Status OutputFile::WriteRange(Bytes offset, std::span<const std::byte> bytes) {
  WSI_CHECK(fd_ >= 0);
  while (!bytes.empty()) {
    const ssize_t written = OpsOf(options_.ops).Write(fd_, bytes.data(), bytes.size(), offset);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) {
      const int error = written == 0 ? ENOSPC : errno;
      Discard();
      return FileError("write", path_, error);
    }
    bytes = bytes.subspan(static_cast<size_t>(written));
    offset += written;
  }
  return {};
}

Status OutputFile::Write(std::span<const std::byte> bytes) {
  WSI_RETURN_IF_ERROR(WriteRange(position_, bytes));
  position_ += static_cast<Bytes>(bytes.size());
  return {};
}

Status OutputFile::Write(std::string_view text) {
  return Write(std::as_bytes(std::span(text.data(), text.size())));
}

Status OutputFile::Align(Bytes alignment) {
  static constexpr std::array<std::byte, 512> kZeros{};
  Bytes missing = AlignUp(position_, alignment) - position_;
  while (missing > 0) {
    const Bytes chunk = std::min(missing, static_cast<Bytes>(kZeros.size()));
    WSI_RETURN_IF_ERROR(Write(std::span(kZeros).first(static_cast<size_t>(chunk))));
    missing -= chunk;
  }
  return {};
}

Status OutputFile::WriteAt(Bytes offset, std::span<const std::byte> bytes) {
  WSI_CHECK(offset >= 0 && offset + static_cast<Bytes>(bytes.size()) <= position_);
  return WriteRange(offset, bytes);
}

Status OutputFile::Commit() {
  WSI_CHECK(fd_ >= 0);
  FileOps& ops = OpsOf(options_.ops);
  if (ops.Sync(fd_) != 0) {
    const int error = errno;
    Discard();
    return FileError("write", path_, error);
  }
  // Asked again: the file may have appeared while this one was written.
  Status replaceable = CheckOutputPath(path_, options_.force);
  if (!replaceable.ok()) {
    Discard();
    return replaceable;
  }
  if (ops.Rename(temporary_.c_str(), path_.c_str()) != 0) {
    const int error = errno;
    Discard();
    return FileError("write", path_, error);
  }
  ::close(std::exchange(fd_, -1));
  return SyncFolder(FolderOf(path_), options_.ops);
}

void OutputFile::Discard() {
  if (fd_ < 0) return;
  ::close(std::exchange(fd_, -1));
  ::unlink(temporary_.c_str());
}

InputFile::InputFile(std::string path, int fd, Bytes size)
    : path_(std::move(path)), fd_(fd), size_(size) {}

InputFile::InputFile(InputFile&& other) noexcept
    : path_(std::move(other.path_)), fd_(std::exchange(other.fd_, -1)), size_(other.size_) {}

InputFile::~InputFile() {
  if (fd_ >= 0) ::close(fd_);
}

Result<InputFile> InputFile::Open(const std::string& path) {
  // Without O_NONBLOCK a FIFO would wait for its writer.
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return FileError("read", path, errno);
  InputFile file(path, fd, 0);
  struct stat info = {};
  if (::fstat(fd, &info) != 0) return FileError("read", path, errno);
  if (!S_ISREG(info.st_mode)) {
    return IoError(fmt::format("cannot read '{}': not a regular file", path));
  }
  file.size_ = info.st_size;
  return file;
}

Status InputFile::ReadAt(Bytes offset, std::span<std::byte> out) const {
  WSI_CHECK(offset >= 0);
  while (!out.empty()) {
    const ssize_t count = ::pread(fd_, out.data(), out.size(), offset);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return FileError("read", path_, errno);
    if (count == 0) {
      return InvalidInput(fmt::format("'{}' is truncated: it ends at byte {}, {} more are needed",
                                      path_, offset, out.size()));
    }
    out = out.subspan(static_cast<size_t>(count));
    offset += count;
  }
  return {};
}

Result<std::string> ReadFile(const std::string& path, Bytes max_bytes) {
  WSI_ASSIGN_OR_RETURN(const InputFile file, InputFile::Open(path));
  if (file.size() > max_bytes) {
    return InvalidInput(fmt::format("'{}' has {}, more than the {} allowed", path,
                                    FormatBytes(file.size()), FormatBytes(max_bytes)));
  }
  std::string contents(static_cast<size_t>(file.size()), '\0');
  WSI_RETURN_IF_ERROR(
      file.ReadAt(0, std::as_writable_bytes(std::span(contents.data(), contents.size()))));
  return contents;
}

Status WriteFile(const std::string& path, std::string_view contents, OutputOptions options) {
  WSI_ASSIGN_OR_RETURN(OutputFile file, OutputFile::Create(path, options));
  WSI_RETURN_IF_ERROR(file.Write(contents));
  return file.Commit();
}

Status SyncFolder(const std::string& folder, FileOps* ops) {
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return FileError("sync", folder, errno);
  const int result = OpsOf(ops).Sync(fd);
  const int error = errno;
  ::close(fd);
  if (result != 0) return FileError("sync", folder, error);
  return {};
}

}  // namespace wsi
