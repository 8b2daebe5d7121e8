#include "runtime/backends/cpu/cpu_backend.h"

#include <fmt/format.h>

#include <cstring>

#include "runtime/backends/cpu/events.h"
#include "runtime/backends/cpu/kernel_table.h"
#include "runtime/backends/cpu/lanes.h"
#include "runtime/backends/cpu/onednn.h"
#include "runtime/backends/mapped_arena.h"

namespace wsi {
namespace {

class CpuBackend final : public Backend {
 public:
  explicit CpuBackend(const CpuOptions& options)
      : pool_(options.threads),
        scratch_(pool_.size()),
        context_{.pool = pool_, .scratch = scratch_, .dnnl = dnnl_} {}

  std::string_view name() const override { return "cpu"; }

  Result<std::unique_ptr<Kernel>> Compile(const LaunchSpec& launch) override {
    if (dnnl_.streams.empty()) {
      WSI_ASSIGN_OR_RETURN(dnnl_, cpu::DnnlRuntime::Make(pool_.size()));
    }
    const cpu::KernelEntry* entry = cpu::FindKernel(launch.op);
    if (entry == nullptr) return cpu::CompileError(launch, "no such operator");
    return entry->compile(launch, context_);
  }

  Result<std::unique_ptr<Arena>> AllocateDevice(Bytes bytes) override {
    return MapArena("device", bytes, &reserved_);
  }
  Result<std::unique_ptr<Arena>> AllocateHost(Bytes bytes) override {
    return MapArena("host", bytes, &reserved_);
  }

  Status SetEventCount(int events) override {
    events_.SetCount(events);
    return {};
  }
  Status ResetEvents() override {
    events_.Reset();
    return {};
  }

  Result<std::unique_ptr<Lane>> MakeLane(std::string_view) override {
    return std::unique_ptr<Lane>(std::make_unique<cpu::QueueLane>(events_));
  }

  Status Write(std::byte* device, std::span<const std::byte> host) override {
    if (!host.empty()) std::memcpy(device, host.data(), host.size());
    return {};
  }
  Status Read(std::span<std::byte> host, const std::byte* device) override {
    if (!host.empty()) std::memcpy(host.data(), device, host.size());
    return {};
  }

  Bytes private_bytes() const override { return scratch_.total_bytes(); }

  std::vector<std::string_view> SupportedOps() const override {
    std::vector<std::string_view> ops;
    for (const cpu::KernelEntry& entry : cpu::KernelTable()) ops.push_back(entry.op);
    return ops;
  }

 private:
  cpu::ThreadPool pool_;
  cpu::Scratch scratch_;
  cpu::DnnlRuntime dnnl_;  // Made by the first Compile, which can report failure.
  cpu::Context context_;
  cpu::Events events_;
  Bytes reserved_ = 0;  // The sizes of the arenas there are.
};

}  // namespace

std::unique_ptr<Backend> MakeCpuBackend(const CpuOptions& options) {
  return std::make_unique<CpuBackend>(options);
}

}  // namespace wsi
