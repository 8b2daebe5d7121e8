#include "runtime/executor/managed_layout.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <functional>
#include <numeric>
#include <set>

namespace wsi {
namespace {

constexpr Bytes kRegionAlignment = Bytes{64} << 10;  // Pages move whole.

bool IsDeviceHostCopy(const plan::Plan& plan, const plan::Instruction& instruction) {
  if (!instruction.has_copy()) return false;
  return plan.buffers(instruction.copy().from()).tier() != plan::TIER_FILE &&
         plan.buffers(instruction.copy().to()).tier() != plan::TIER_FILE;
}

// Sets of buffers, each named by one of them.
class Components {
 public:
  explicit Components(int buffers) : parents_(static_cast<size_t>(buffers)) {
    std::iota(parents_.begin(), parents_.end(), 0);
  }
  int32_t Find(int32_t buffer) {
    while (Parent(buffer) != buffer) buffer = Parent(buffer) = Parent(Parent(buffer));
    return buffer;
  }
  void Join(int32_t a, int32_t b) { Parent(Find(a)) = Find(b); }

 private:
  int32_t& Parent(int32_t buffer) { return parents_[static_cast<size_t>(buffer)]; }

  std::vector<int32_t> parents_;
};

// Replays a program on the contents of buffers, each as it would be by itself and each set
// as it is in shared memory, and finds the sets for which the two differ.
class Replay {
 public:
  Replay(const plan::Plan& plan, Components& components, std::set<int32_t>& refused)
      : plan_(plan),
        components_(components),
        refused_(refused),
        own_(static_cast<size_t>(plan.buffers_size()), 0),
        shared_(static_cast<size_t>(plan.buffers_size()), 0) {}

  void Run(const plan::Program& program, bool update) {
    for (const plan::Persistent& persistent : plan_.persistents()) WriteValue(persistent.value());
    for (const int32_t v : program.inputs()) WriteValue(v);
    for (const int32_t v : program.scalars()) WriteValue(v);
    if (program.target() != -1) WriteValue(program.target());
    for (const plan::Instruction& instruction : program.instructions()) {
      if (update || instruction.phase() != plan::PHASE_UPDATE) Step(instruction);
    }
    for (const plan::Persistent& persistent : plan_.persistents()) ReadValue(persistent.value());
    for (const int32_t v : program.outputs()) ReadValue(v);
    if (program.loss() != -1) ReadValue(program.loss());
  }

 private:
  void Step(const plan::Instruction& instruction) {
    for (const int32_t v : instruction.launch().inputs()) ReadValue(v);
    for (const int32_t v : instruction.launch().outputs()) WriteValue(v);
    for (const int32_t v : instruction.collective().values()) {
      refused_.insert(components_.Find(plan_.values(v).buffer()));
    }
    if (!instruction.has_copy()) return;
    const int32_t from = instruction.copy().from();
    const int32_t to = instruction.copy().to();
    if (IsDeviceHostCopy(plan_, instruction)) {
      Read(from);
      own_[static_cast<size_t>(to)] = own_[static_cast<size_t>(from)];
      return;
    }
    refused_.insert(components_.Find(from));
    refused_.insert(components_.Find(to));
  }

  void ReadValue(int32_t v) {
    if (v != -1) Read(plan_.values(v).buffer());
  }
  void WriteValue(int32_t v) {
    if (v == -1) return;
    const int32_t buffer = plan_.values(v).buffer();
    own_[static_cast<size_t>(buffer)] = ++contents_;
    shared_[static_cast<size_t>(components_.Find(buffer))] = contents_;
  }
  void Read(int32_t buffer) {
    const int32_t component = components_.Find(buffer);
    if (own_[static_cast<size_t>(buffer)] != shared_[static_cast<size_t>(component)]) {
      refused_.insert(component);
    }
  }

  const plan::Plan& plan_;
  Components& components_;
  std::set<int32_t>& refused_;
  std::vector<int64_t> own_;     // By buffer: the number of what it holds.
  std::vector<int64_t> shared_;  // By component.
  int64_t contents_ = 0;
};

// Places buffers behind each other.
class Placement {
 public:
  explicit Placement(ManagedLayout* layout) : layout_(*layout) {}

  // Room of `bytes`; its offset.
  Result<Bytes> Add(Bytes bytes) {
    const Bytes at = AlignUp(layout_.bytes, kRegionAlignment);
    WSI_ASSIGN_OR_RETURN(layout_.bytes, CheckedAdd(at, bytes));
    return at;
  }
  // The buffers of `tier` that share nothing, as the plan has them in its arena.
  Status AddArena(const plan::Plan& plan, plan::Tier tier) {
    const auto each = [&](const std::function<void(int, const plan::Buffer&)>& f) {
      for (int b = 0; b < plan.buffers_size(); ++b) {
        if (plan.buffers(b).tier() == tier && !layout_.shared[static_cast<size_t>(b)]) {
          f(b, plan.buffers(b));
        }
      }
    };
    Bytes size = 0;
    each([&](int, const plan::Buffer& b) { size = std::max(size, b.offset() + b.size()); });
    WSI_ASSIGN_OR_RETURN(const Bytes at, Add(size));
    each([&](int i, const plan::Buffer& b) {
      layout_.offsets[static_cast<size_t>(i)] = at + b.offset();
    });
    return {};
  }

 private:
  ManagedLayout& layout_;
};

}  // namespace

Result<ManagedLayout> ComputeManagedLayout(const plan::Plan& plan) {
  Components components(plan.buffers_size());
  std::set<int32_t> moved;
  for (const plan::Program& program : plan.programs()) {
    for (const plan::Instruction& instruction : program.instructions()) {
      if (!IsDeviceHostCopy(plan, instruction)) continue;
      components.Join(instruction.copy().from(), instruction.copy().to());
      moved.insert(instruction.copy().to());
      moved.insert(instruction.copy().from());
    }
  }
  std::set<int32_t> refused;
  for (const plan::Program& program : plan.programs()) {
    for (const bool update : {false, true}) {
      Replay(plan, components, refused).Run(program, update);
    }
  }
  ManagedLayout layout;
  layout.offsets.assign(static_cast<size_t>(plan.buffers_size()), -1);
  layout.shared.assign(static_cast<size_t>(plan.buffers_size()), false);
  Placement placement(&layout);
  for (const int32_t buffer : moved) {
    layout.shared[static_cast<size_t>(buffer)] = !refused.contains(components.Find(buffer));
  }
  WSI_RETURN_IF_ERROR(placement.AddArena(plan, plan::TIER_DEVICE));
  WSI_RETURN_IF_ERROR(placement.AddArena(plan, plan::TIER_HOST));
  std::vector<Bytes> regions(static_cast<size_t>(plan.buffers_size()), -1);  // By component.
  for (const int32_t buffer : moved) {
    if (!layout.shared[static_cast<size_t>(buffer)]) continue;
    Bytes& region = regions[static_cast<size_t>(components.Find(buffer))];
    if (region == -1) {
      WSI_ASSIGN_OR_RETURN(region, placement.Add(plan.buffers(buffer).size()));
      layout.shared_bytes += plan.buffers(buffer).size();
    }
    layout.offsets[static_cast<size_t>(buffer)] = region;
  }
  return layout;
}

Status CheckManagedBytes(const ManagedLayout& layout, Bytes free, Bytes total,
                         bool allow_oversubscription) {
  if (total == 0 || layout.bytes <= free || allow_oversubscription) return {};
  return ResourceError(fmt::format(
      "managed memory: the plan needs {}, {} of it moved by copies, and the device has {} free of "
      "{}; plan with a smaller --device-mem, use --memory offload, or give "
      "--allow-oversubscription, with which pages may be moved back and forth",
      FormatBytes(layout.bytes), FormatBytes(layout.shared_bytes), FormatBytes(free),
      FormatBytes(total)));
}

}  // namespace wsi
