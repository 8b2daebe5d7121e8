#include "runtime/memory/spill_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <system_error>

namespace wsi {
namespace {

constexpr Bytes kBlock = 4096;  // What O_DIRECT asks of offsets, addresses and lengths.

std::string Reason(int error) { return std::generic_category().message(error); }

// Closes its descriptor unless that is released.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }
  int Release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

Status FolderError(const std::string& folder, Bytes bytes, std::string_view reason) {
  return ResourceError(
      fmt::format("spill folder '{}': {}; give --spill-dir a folder that can be written, with {} "
                  "({} bytes) free",
                  folder, reason, FormatBytes(bytes), bytes));
}

// What may be written there without being root; -1: unknown.
Bytes Available(FileOps& ops, int fd) {
  struct statvfs space = {};
  if (ops.Space(fd, &space) != 0) return -1;
  const Result<Bytes> bytes =
      CheckedMul(static_cast<Bytes>(space.f_bavail), static_cast<Bytes>(space.f_frsize));
  return bytes.ok() ? *bytes : -1;
}

Status FullError(const std::string& folder, Bytes bytes, Bytes available) {
  return FolderError(folder, bytes,
                     available < 0 ? "no space for the plan's spill file"
                                   : fmt::format("the plan's spill file needs {}, available {}",
                                                 FormatBytes(bytes), FormatBytes(available)));
}

// A file in the folder that no name leads to.
int OpenNameless(FileOps& ops, const std::string& folder) {
  int fd = ops.Open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR)) return fd;
  for (int attempt = 0; attempt < 1000; ++attempt) {
    const std::string name = fmt::format("{}/.wsi-spill-{}-{}", folder, ::getpid(), attempt);
    fd = ops.Open(name.c_str(), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0) ::unlink(name.c_str());
    if (fd >= 0 || errno != EEXIST) return fd;
  }
  return fd;
}

Status Reserve(FileOps& ops, const std::string& folder, int fd, Bytes bytes) {
  // Beyond the process's limit the system would end it with a signal.
  rlimit limit = {};
  if (::getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY &&
      static_cast<rlim_t>(bytes) > limit.rlim_cur) {
    return FolderError(folder, bytes,
                       fmt::format("this process may write files of at most {} (ulimit -f)",
                                   FormatBytes(static_cast<Bytes>(limit.rlim_cur))));
  }
  int error = EINTR;
  while (error == EINTR) error = ops.Allocate(fd, bytes);
  if (error == 0) return {};
  if (error == ENOSPC || error == EDQUOT) {
    return FullError(folder, bytes, Available(ops, fd));
  }
  return FolderError(folder, bytes, Reason(error));
}

}  // namespace

Result<std::unique_ptr<SpillFile>> SpillFile::Create(const SpillFileOptions& options, Bytes bytes) {
  const std::string size = fmt::format("{} ({} bytes)", FormatBytes(bytes), bytes);
  if (options.folder.empty()) {
    return UsageError(fmt::format(
        "the plan keeps {} in a file; give --spill-dir a folder with so much free", size));
  }
  if (options.limit >= 0 && bytes > options.limit) {
    return ResourceError(
        fmt::format("the plan's spill file needs {}, --spill-mem allows {}; raise "
                    "it to {}B or more",
                    size, FormatBytes(options.limit), bytes));
  }
  FileOps& ops = options.ops != nullptr ? *options.ops : FileOps::System();
  const std::string& folder = options.folder;
  const Descriptor place(ops.Open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0));
  if (place.get() < 0) return FolderError(folder, bytes, Reason(errno));
  const Bytes rounded = AlignUp(bytes, kBlock);
  const Bytes available = Available(ops, place.get());
  if (available >= 0 && available < rounded) return FullError(folder, rounded, available);
  Descriptor file(OpenNameless(ops, folder));
  if (file.get() < 0) return FolderError(folder, bytes, Reason(errno));
  WSI_RETURN_IF_ERROR(Reserve(ops, folder, file.get(), rounded));
  std::unique_ptr<SpillFile> result(new SpillFile(folder, &ops, file.Release(), rounded));
  result->OpenDirect();
  return result;
}

SpillFile::~SpillFile() {
  ::close(fd_);
  if (direct_fd_ >= 0) ::close(direct_fd_);
}

// Some file systems refuse when it is opened, others when it is used.
void SpillFile::OpenDirect() {
  Descriptor direct(
      ops_->Open(fmt::format("/proc/self/fd/{}", fd_).c_str(), O_RDWR | O_DIRECT | O_CLOEXEC, 0));
  if (direct.get() < 0 || size_ < kBlock) return;
  alignas(kBlock) static constexpr std::array<std::byte, kBlock> kZeros{};
  if (ops_->Write(direct.get(), kZeros.data(), kZeros.size(), 0) == kBlock) {
    direct_fd_ = direct.Release();
  }
}

int SpillFile::FdFor(Bytes offset, const std::byte* address, size_t* bytes) const {
  const bool aligned = offset % kBlock == 0 && reinterpret_cast<uintptr_t>(address) % kBlock == 0;
  if (direct_fd_ < 0 || !aligned || *bytes < kBlock) return fd_;
  *bytes -= *bytes % kBlock;
  return direct_fd_;
}

Status SpillFile::TransferError(std::string_view action, Bytes offset, int error) const {
  const std::string message = fmt::format("cannot {} the spill file in '{}' at byte {}: {}", action,
                                          folder_, offset, Reason(error));
  return error == ENOSPC || error == EDQUOT ? ResourceError(message) : IoError(message);
}

Status SpillFile::Read(Bytes offset, std::span<std::byte> to) const {
  WSI_CHECK(offset >= 0 && static_cast<Bytes>(to.size()) <= size_ - offset);
  while (!to.empty()) {
    size_t bytes = to.size();
    const int fd = FdFor(offset, to.data(), &bytes);
    const ssize_t count = ops_->Read(fd, to.data(), bytes, offset);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return TransferError("read", offset, count == 0 ? EIO : errno);
    to = to.subspan(static_cast<size_t>(count));
    offset += count;
  }
  return {};
}

Status SpillFile::Write(Bytes offset, std::span<const std::byte> from) const {
  WSI_CHECK(offset >= 0 && static_cast<Bytes>(from.size()) <= size_ - offset);
  while (!from.empty()) {
    size_t bytes = from.size();
    const int fd = FdFor(offset, from.data(), &bytes);
    const ssize_t count = ops_->Write(fd, from.data(), bytes, offset);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return TransferError("write", offset, count == 0 ? ENOSPC : errno);
    from = from.subspan(static_cast<size_t>(count));
    offset += count;
  }
  return {};
}

}  // namespace wsi
