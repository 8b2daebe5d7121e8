#include "frontends/onnx/external_data.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "frontends/onnx/printable.h"

namespace wsi {
namespace {

constexpr int kOpenFlags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;

Status Refused(std::string_view location, std::string_view why) {
  return InvalidInput(
      fmt::format("external data location '{}' {}; it must name a plain file "
                  "beneath the model's folder",
                  Printable(location), why));
}

}  // namespace

OpenFile& OpenFile::operator=(OpenFile&& other) noexcept {
  if (this != &other) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = std::exchange(other.fd_, -1);
  }
  return *this;
}

OpenFile::~OpenFile() {
  if (fd_ >= 0) ::close(fd_);
}

Result<OpenFile> OpenRegular(const std::string& path, int64_t* size) {
  OpenFile file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!file.valid()) {
    const int error = errno;
    const std::string text = fmt::format("{}: {}", Printable(path), std::strerror(error));
    return error == ENOENT || error == ENOTDIR ? InvalidInput(text) : IoError(text);
  }
  struct stat info = {};
  if (::fstat(file.fd(), &info) != 0) {
    return IoError(fmt::format("{}: {}", Printable(path), std::strerror(errno)));
  }
  if (!S_ISREG(info.st_mode)) {
    return InvalidInput(fmt::format("{}: is not a regular file", Printable(path)));
  }
  *size = info.st_size;
  return file;
}

std::string FolderOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

Status ExternalData::Open(std::string_view location) {
  if (file_.valid() && location_ == location) return {};
  if (location.empty()) return Refused(location, "is empty");
  if (location.find('\0') != std::string_view::npos) return Refused(location, "holds a NUL");
  if (location.front() == '/') return Refused(location, "is absolute");
  if (!folder_file_.valid()) {
    folder_file_ = OpenFile(::open(folder_.c_str(), O_RDONLY | O_CLOEXEC | O_DIRECTORY));
    if (!folder_file_.valid()) {
      return IoError(fmt::format("folder {}: {}", Printable(folder_), std::strerror(errno)));
    }
  }
  OpenFile folder;
  for (size_t begin = 0; begin <= location.size();) {
    const size_t end = std::min(location.find('/', begin), location.size());
    const std::string part(location.substr(begin, end - begin));
    const bool last = end == location.size();
    begin = end + 1;
    if (part == "..") return Refused(location, "leaves the folder with '..'");
    if (part == "." || part.empty()) {
      if (last) return Refused(location, "names a folder");
      continue;
    }
    const int at = folder.valid() ? folder.fd() : folder_file_.fd();
    OpenFile next(::openat(at, part.c_str(), last ? kOpenFlags : kOpenFlags | O_DIRECTORY));
    if (!next.valid()) {
      const bool link = errno == ELOOP || (!last && errno == ENOTDIR);
      return Refused(location, link ? "goes through a symbolic link or a file"
                                    : fmt::format("cannot be opened: {}", std::strerror(errno)));
    }
    if (!last) {
      folder = std::move(next);
      continue;
    }
    struct stat info = {};
    if (::fstat(next.fd(), &info) != 0 || !S_ISREG(info.st_mode)) {
      return Refused(location, "is not a regular file");
    }
    if (info.st_nlink > 1) return Refused(location, "is a hard link");
    file_ = std::move(next);
    size_ = info.st_size;
    location_ = location;
  }
  return {};
}

Result<int64_t> ExternalData::Size(std::string_view location) {
  WSI_RETURN_IF_ERROR(Open(location));
  return size_;
}

Status ExternalData::Read(std::string_view location, int64_t offset, std::span<std::byte> to) {
  WSI_RETURN_IF_ERROR(Open(location));
  const int64_t length = static_cast<int64_t>(to.size());
  if (offset < 0 || offset > size_ || length > size_ - offset) {
    return InvalidInput(fmt::format("external data '{}' has {} bytes; {} from {} are asked for",
                                    Printable(location), size_, length, offset));
  }
  for (size_t done = 0; done < to.size();) {
    const ssize_t got = ::pread(file_.fd(), to.data() + done, to.size() - done,
                                static_cast<off_t>(offset) + static_cast<off_t>(done));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) {
      return IoError(fmt::format("external data '{}': {}", Printable(location),
                                 got == 0 ? "the file became shorter" : std::strerror(errno)));
    }
    done += static_cast<size_t>(got);
  }
  return {};
}

}  // namespace wsi
