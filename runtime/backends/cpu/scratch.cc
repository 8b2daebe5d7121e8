#include "runtime/backends/cpu/scratch.h"

#include <fmt/format.h>

#include <utility>

namespace wsi::cpu {
namespace {
constexpr Bytes kPage = 4096;
}  // namespace

Result<Scratch::Region> Scratch::Allocate(Bytes bytes) {
  void* memory = std::aligned_alloc(static_cast<size_t>(kPage), static_cast<size_t>(bytes));
  if (memory == nullptr) {
    return ResourceError(fmt::format("cannot allocate {} of kernel scratch", FormatBytes(bytes)));
  }
  return Region(static_cast<std::byte*>(memory));
}

Status Scratch::Require(Bytes shared_bytes, Bytes bytes_per_worker) {
  shared_bytes = AlignUp(shared_bytes, kPage);
  bytes_per_worker = AlignUp(bytes_per_worker, kPage);
  if (shared_bytes > shared_bytes_) {
    shared_.reset();
    shared_bytes_ = 0;
    WSI_ASSIGN_OR_RETURN(shared_, Allocate(shared_bytes));
    shared_bytes_ = shared_bytes;
  }
  if (bytes_per_worker > worker_bytes_) {
    worker_bytes_ = 0;
    for (Region& region : per_worker_) {
      region.reset();
      WSI_ASSIGN_OR_RETURN(region, Allocate(bytes_per_worker));
    }
    worker_bytes_ = bytes_per_worker;
  }
  return {};
}

}  // namespace wsi::cpu
