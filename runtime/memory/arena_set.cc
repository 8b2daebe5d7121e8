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

}  // namespace

Result<ArenaSet> ArenaSet::Make(Backend* backend, Bytes device_bytes, Bytes host_bytes) {
  ArenaSet set(backend);
  if (device_bytes > 0) {
    WSI_ASSIGN_OR_RETURN(set.device_, backend->AllocateDevice(device_bytes));
    WSI_RETURN_IF_ERROR(CheckSize("device", *set.device_, device_bytes));
  }
  if (host_bytes > 0) {
    WSI_ASSIGN_OR_RETURN(set.host_, backend->AllocateHost(host_bytes));
    WSI_RETURN_IF_ERROR(CheckSize("host", *set.host_, host_bytes));
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
  std::array<std::byte, 4096> pattern;
  pattern.fill(std::byte{0xFF});
  while (bytes > 0) {
    const Bytes chunk = std::min(bytes, static_cast<Bytes>(pattern.size()));
    WSI_RETURN_IF_ERROR(
        backend_->Write(Device(offset), std::span(pattern).first(static_cast<size_t>(chunk))));
    offset += chunk;
    bytes -= chunk;
  }
  return {};
}

void ArenaSet::PoisonHost(Bytes offset, Bytes bytes) {
  WSI_CHECK(offset >= 0 && bytes >= 0 && bytes <= SizeOf(host_) - offset);
  if (bytes > 0) std::memset(Host(offset), 0xFF, static_cast<size_t>(bytes));
}

}  // namespace wsi
