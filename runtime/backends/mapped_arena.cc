#include "runtime/backends/mapped_arena.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <limits>
#include <string>

namespace wsi {
namespace {

constexpr Bytes kHugePage = Bytes{2} << 20;
constexpr Bytes kUnlimited = std::numeric_limits<Bytes>::max();

class MappedArena final : public Arena {
 public:
  MappedArena(void* mapping, Bytes mapped, Bytes size, Bytes* reserved)
      : mapping_(mapping), mapped_(mapped), size_(size), reserved_(reserved) {
    *reserved_ += size_;
    const auto address = reinterpret_cast<uintptr_t>(mapping);
    const auto page = static_cast<uintptr_t>(kHugePage);
    data_ = static_cast<std::byte*>(mapping) + ((page - address % page) % page);
  }
  ~MappedArena() override {
    *reserved_ -= size_;
    munmap(mapping_, static_cast<size_t>(mapped_));
  }
  MappedArena(const MappedArena&) = delete;
  MappedArena& operator=(const MappedArena&) = delete;
  std::byte* data() override { return data_; }
  Bytes size() const override { return size_; }

 private:
  void* mapping_;
  Bytes mapped_;
  Bytes size_;
  Bytes* reserved_;
  std::byte* data_ = nullptr;
};

// The number at the start of a file, or `otherwise`.
Bytes ReadNumber(const char* path, Bytes otherwise) {
  std::ifstream file(path);
  Bytes value = 0;
  return file >> value ? value : otherwise;
}

// MemAvailable of /proc/meminfo.
Bytes MachineMemory() {
  std::ifstream file("/proc/meminfo");
  std::string key;
  Bytes kibibytes = 0;
  std::string unit;
  while (file >> key >> kibibytes) {
    if (key == "MemAvailable:") return kibibytes * 1024;
    std::getline(file, unit);
  }
  return kUnlimited;
}

}  // namespace

Bytes AvailableMemory() {
  Bytes available = MachineMemory();
  const Bytes limit = ReadNumber("/sys/fs/cgroup/memory.max", kUnlimited);
  if (limit != kUnlimited) {
    const Bytes used = ReadNumber("/sys/fs/cgroup/memory.current", 0);
    available = std::min(available, std::max<Bytes>(0, limit - used));
  }
  rlimit address_space{};
  if (getrlimit(RLIMIT_AS, &address_space) == 0 && address_space.rlim_cur != RLIM_INFINITY) {
    available = std::min(available, static_cast<Bytes>(address_space.rlim_cur));
  }
  return available;
}

Result<std::unique_ptr<Arena>> MapArena(std::string_view what, Bytes bytes, Bytes* reserved) {
  if (bytes < 0) return InternalError("negative arena size");
  const Bytes available = std::max<Bytes>(0, AvailableMemory() - *reserved);
  const auto too_large = [&](std::string_view reason) {
    return ResourceError(fmt::format("{} arena needs {}, available {}{}", what, FormatBytes(bytes),
                                     FormatBytes(available), reason));
  };
  if (bytes > available) return too_large("");
  const Bytes mapped = AlignUp(std::max<Bytes>(bytes, 1), kHugePage) + kHugePage;
  void* mapping = mmap(nullptr, static_cast<size_t>(mapped), PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapping == MAP_FAILED) return too_large(fmt::format(": {}", std::strerror(errno)));
  // Advice only: without huge pages the arena works as well.
  (void)madvise(mapping, static_cast<size_t>(mapped), MADV_HUGEPAGE);
  return std::unique_ptr<Arena>(std::make_unique<MappedArena>(mapping, mapped, bytes, reserved));
}

}  // namespace wsi
