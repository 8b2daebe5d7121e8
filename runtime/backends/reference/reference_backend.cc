#include "runtime/backends/reference/reference_backend.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "runtime/backends/reference/kernel_table.h"
#include "runtime/backends/reference/storage.h"

namespace wsi {
namespace {

constexpr Bytes kPage = 4096;  // What file transfers past the page cache ask for.

class HostArena final : public Arena {
 public:
  static Result<std::unique_ptr<Arena>> Make(Bytes bytes) {
    const Bytes physical = Bytes{sysconf(_SC_PHYS_PAGES)} * sysconf(_SC_PAGESIZE);
    std::unique_ptr<HostArena> arena(new HostArena(bytes));
    if (bytes >= 0 && bytes <= physical) {
      const Bytes rounded = AlignUp(std::max<Bytes>(bytes, 1), kPage);
      arena->data_.reset(static_cast<std::byte*>(
          std::aligned_alloc(static_cast<size_t>(kPage), static_cast<size_t>(rounded))));
    }
    if (!arena->data_) {
      return ResourceError(fmt::format("arena on reference: needs {}, the machine has {}",
                                       FormatBytes(bytes), FormatBytes(physical)));
    }
    return std::unique_ptr<Arena>(std::move(arena));
  }
  std::byte* data() override { return data_.get(); }
  Bytes size() const override { return bytes_; }

 private:
  struct Free {
    void operator()(std::byte* p) const { std::free(p); }
  };
  explicit HostArena(Bytes bytes) : bytes_(bytes) {}

  Bytes bytes_;
  std::unique_ptr<std::byte, Free> data_;
};

// recorded[e]: a lane has passed event e since the last reset.
using Events = std::vector<bool>;

// `events` outlives the lane.
class InlineLane final : public Lane {
 public:
  explicit InlineLane(Events& events) : events_(events) {}
  Status Launch(Kernel& kernel, const LaunchArguments& arguments) override {
    return Keep(kernel.Run(arguments));
  }
  Status Copy(std::byte* to, const std::byte* from, Bytes bytes) override {
    std::memmove(to, from, static_cast<size_t>(bytes));
    return {};
  }
  Status Call(HostTask& task) override { return Keep(task.Run()); }
  Status Record(int event) override {
    WSI_CHECK(event >= 0 && static_cast<size_t>(event) < events_.size());
    events_[static_cast<size_t>(event)] = true;
    return {};
  }
  Status Wait(int event) override {
    WSI_CHECK(event >= 0 && static_cast<size_t>(event) < events_.size());
    if (events_[static_cast<size_t>(event)]) return {};
    return Keep(InternalError(
        fmt::format("reference: event {} is waited for before it is recorded", event)));
  }
  Status Mark(double* seconds) override {
    *seconds = MarkSeconds();
    return {};
  }
  Status Synchronize() override { return std::exchange(error_, Status()); }

 private:
  // Remembers the first error for Synchronize.
  Status Keep(Status status) {
    if (!status.ok() && error_.ok()) error_ = status;
    return status;
  }

  Events& events_;
  Status error_;
};

class ReferenceBackend final : public Backend {
 public:
  std::string_view name() const override { return "reference"; }
  Result<std::unique_ptr<Kernel>> Compile(const LaunchSpec& launch) override {
    const reference::KernelEntry* entry = reference::FindKernel(launch.op);
    if (entry != nullptr && entry->compile != nullptr) {
      return reference::CompileStored(entry->compile, launch);
    }
    return InvalidInput(fmt::format("{} '{}' on reference: no kernel: {}", launch.op, launch.node,
                                    entry != nullptr ? entry->none_because : "unknown operator"));
  }
  Result<std::unique_ptr<Arena>> AllocateDevice(Bytes bytes) override {
    return HostArena::Make(bytes);
  }
  Result<std::unique_ptr<Arena>> AllocateHost(Bytes bytes) override {
    return HostArena::Make(bytes);
  }
  Status SetEventCount(int events) override {
    WSI_CHECK(events >= 0);
    events_.assign(static_cast<size_t>(events), false);
    return {};
  }
  Status ResetEvents() override {
    std::fill(events_.begin(), events_.end(), false);
    return {};
  }
  Result<std::unique_ptr<Lane>> MakeLane(std::string_view /*lane_name*/) override {
    return std::unique_ptr<Lane>(std::make_unique<InlineLane>(events_));
  }
  Status Write(std::byte* device, std::span<const std::byte> host) override {
    if (!host.empty()) std::memcpy(device, host.data(), host.size());
    return {};
  }
  Status Read(std::span<std::byte> host, const std::byte* device) override {
    if (!host.empty()) std::memcpy(host.data(), device, host.size());
    return {};
  }
  Bytes private_bytes() const override { return 0; }
  std::vector<std::string_view> SupportedOps() const override {
    std::vector<std::string_view> ops;
    for (const reference::KernelEntry& entry : reference::KernelTable()) {
      if (entry.compile != nullptr) ops.push_back(entry.op);
    }
    return ops;
  }

 private:
  Events events_;
};

}  // namespace

std::unique_ptr<Backend> MakeReferenceBackend() { return std::make_unique<ReferenceBackend>(); }

}  // namespace wsi
