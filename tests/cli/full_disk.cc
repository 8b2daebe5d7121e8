// A disk that fills up: preloaded into a program, lets it write WSI_DISK_BYTES bytes into
// folders named "checkpoints" and refuses what comes behind them, and reserves no more than
// that for any file.
#include <dlfcn.h>
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

std::atomic<long> bytes_written = 0;

bool IsInCheckpoints(int fd) {
  std::array<char, 64> link = {};
  std::snprintf(link.data(), link.size(), "/proc/self/fd/%d", fd);
  std::array<char, 4096> path = {};
  return readlink(link.data(), path.data(), path.size() - 1) > 0 &&
         std::strstr(path.data(), "/checkpoints/") != nullptr;
}

ssize_t WriteOrFail(const char* name, int fd, const void* data, size_t bytes, off_t offset) {
  if (IsInCheckpoints(fd)) {
    const char* limit = std::getenv("WSI_DISK_BYTES");
    if (limit == nullptr ||
        bytes_written.fetch_add(static_cast<long>(bytes)) + static_cast<long>(bytes) >
            std::atol(limit)) {
      errno = ENOSPC;
      return -1;
    }
  }
  using Pwrite = ssize_t (*)(int, const void*, size_t, off_t);
  return reinterpret_cast<Pwrite>(dlsym(RTLD_NEXT, name))(fd, data, bytes, offset);
}

int ReserveOrFail(const char* name, int fd, off64_t offset, off64_t bytes) {
  const char* limit = std::getenv("WSI_DISK_BYTES");
  if (limit == nullptr || bytes > std::atol(limit)) return ENOSPC;
  using Allocate = int (*)(int, off64_t, off64_t);
  return reinterpret_cast<Allocate>(dlsym(RTLD_NEXT, name))(fd, offset, bytes);
}

}  // namespace

extern "C" int posix_fallocate(int fd, off_t offset, off_t bytes) {
  return ReserveOrFail("posix_fallocate", fd, offset, bytes);
}
extern "C" int posix_fallocate64(int fd, off64_t offset, off64_t bytes) {
  return ReserveOrFail("posix_fallocate64", fd, offset, bytes);
}
extern "C" ssize_t pwrite(int fd, const void* data, size_t bytes, off_t offset) {
  return WriteOrFail("pwrite", fd, data, bytes, offset);
}
extern "C" ssize_t pwrite64(int fd, const void* data, size_t bytes, off64_t offset) {
  return WriteOrFail("pwrite64", fd, data, bytes, offset);
}
