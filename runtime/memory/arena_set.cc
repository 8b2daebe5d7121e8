#include "runtime/memory/arena_set.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace wsi {
namespace {

Bytes SizeOf(const std::unique_ptr<Arena>& arena) { return arena ? arena->size() : 0; }

Status CheckSize(std::string_view tier, const Arena& arena, Bytes bytes) {
  if (arena.size() == bytes) return {};
  return InternalError(
      fmt::format("{} arena of {} bytes instead of {}", tier, arena.size(), bytes));
}

// Calls write(at, 0xFF...) for runs that make up [offset, offset + bytes).
template <typename F>
Status ForEachChunk(Bytes offset, Bytes bytes, const F& write) {
  alignas(4096) static constexpr auto kPattern = [] {
    std::array<std::byte, 16384> pattern{};
    pattern.fill(std::byte{0xFF});
    return pattern;
  }();
  while (bytes > 0) {
    const Bytes chunk = std::min(bytes, static_cast<Bytes>(kPattern.size()));
    WSI_RETURN_IF_ERROR(write(offset, std::span(kPattern).first(static_cast<size_t>(chunk))));
    offset += chunk;
    bytes -= chunk;
  }
  return {};
}

}  // namespace

Result<ArenaSet> ArenaSet::Make(Backend* backend, const TierSizes& sizes,
                                const SpillFileOptions& spill) {
  ArenaSet set(backend);
  if (sizes.file > 0) {  // First: reserving disk space harms nobody if memory then lacks.
    WSI_ASSIGN_OR_RETURN(set.file_, SpillFile::Create(spill, sizes.file));
  }
  if (sizes.device > 0) {
    WSI_ASSIGN_OR_RETURN(set.device_, backend->AllocateDevice(sizes.device));
    WSI_RETURN_IF_ERROR(CheckSize("device", *set.device_, sizes.device));
  }
  if (sizes.host > 0) {
    WSI_ASSIGN_OR_RETURN(set.host_, backend->AllocateHost(sizes.host));
    WSI_RETURN_IF_ERROR(CheckSize("host", *set.host_, sizes.host));
  }
  return set;
}

std::byte* ArenaSet::Device(Bytes offset) const {
  WSI_CHECK(offset >= 0 && offset <= SizeOf(device_));
  return device_ ? device_->data() + offset : nullptr;
}

std::byte* ArenaSet::Host(Bytes offset) const {
  WSI_CHECK(offset >= 0 && offset <= SizeOf(host_));
  return host_ ? host_->data() + offset : nullptr;
}

Status ArenaSet::PoisonDevice(Bytes offset, Bytes bytes) {
  WSI_CHECK(offset >= 0 && bytes >= 0 && bytes <= SizeOf(device_) - offset);
  return ForEachChunk(offset, bytes, [&](Bytes at, std::span<const std::byte> pattern) {
    return backend_->Write(Device(at), pattern);
  });
}

Status ArenaSet::PoisonFile(Bytes offset, Bytes bytes) {
  return ForEachChunk(offset, bytes, [&](Bytes at, std::span<const std::byte> pattern) {
    return file_->Write(at, pattern);
  });
}

void ArenaSet::PoisonHost(Bytes offset, Bytes bytes) {
  WSI_CHECK(offset >= 0 && bytes >= 0 && bytes <= SizeOf(host_) - offset);
  if (bytes > 0) std::memset(Host(offset), 0xFF, static_cast<size_t>(bytes));
}

}  // namespace wsi
