#include "runtime/timing/memory_timeline.h"

#include <algorithm>

#include "runtime/plan/plan_types.h"

namespace wsi {
namespace {

constexpr std::array<std::string_view, kBufferUses> kUseNames = {
    "parameter", "state",    "optimizer", "input",    "activation",
    "forward",   "backward", "update",    "workspace"};

// What the plan says of a buffer beyond its place: its first value, or the node whose
// workspace it is.
struct Occupants {
  std::vector<int> first_value;         // By buffer; -1: none.
  std::vector<bool> optimizer;          // By buffer: holds optimizer state.
  std::vector<std::string> workspaces;  // By buffer: the node's name.
};

Occupants FindOccupants(const plan::Plan& plan, const plan::Program& program) {
  const auto count = static_cast<size_t>(plan.buffers_size());
  Occupants found = {std::vector<int>(count, -1), std::vector<bool>(count),
                     std::vector<std::string>(count)};
  for (int v = plan.values_size(); v-- > 0;) {
    found.first_value[static_cast<size_t>(plan.values(v).buffer())] = v;
  }
  for (const plan::Persistent& persistent : plan.persistents()) {
    if (!persistent.optimizer_state()) continue;
    found.optimizer[static_cast<size_t>(plan.values(persistent.value()).buffer())] = true;
  }
  for (const plan::Instruction& instruction : program.instructions()) {
    if (!instruction.has_launch() || instruction.launch().workspace() == -1) continue;
    found.workspaces[static_cast<size_t>(instruction.launch().workspace())] = instruction.name();
  }
  return found;
}

BufferUse PersistentUse(const plan::Value& value, bool optimizer) {
  if (optimizer) return BufferUse::kOptimizer;
  return value.role() == plan::ROLE_PARAMETER ? BufferUse::kParameter : BufferUse::kState;
}

BufferUse TransientUse(const plan::Program& program, const plan::Value& value,
                       const plan::Buffer& buffer) {
  if (value.role() == plan::ROLE_INPUT || value.role() == plan::ROLE_TARGET ||
      value.role() == plan::ROLE_SCALAR) {
    return BufferUse::kInput;
  }
  if (buffer.begin() >= buffer.end()) return BufferUse::kForward;
  const plan::Phase first = program.instructions(static_cast<int>(buffer.begin())).phase();
  const plan::Phase last = program.instructions(static_cast<int>(buffer.end()) - 1).phase();
  if (first == plan::PHASE_UPDATE) return BufferUse::kUpdate;
  if (first == plan::PHASE_BACKWARD) return BufferUse::kBackward;
  return last == plan::PHASE_FORWARD ? BufferUse::kForward : BufferUse::kActivation;
}

BufferLife LifeOf(const plan::Plan& plan, const plan::Program& program, int b,
                  const Occupants& occupants) {
  const plan::Buffer& buffer = plan.buffers(b);
  const auto index = static_cast<size_t>(b);
  BufferLife life;
  life.buffer = b;
  life.begin = buffer.program() == -1 ? 0 : static_cast<int>(buffer.begin());
  life.end = buffer.program() == -1 ? program.instructions_size() : static_cast<int>(buffer.end());
  const int v = occupants.first_value[index];
  if (v == -1) {
    const std::string& node = occupants.workspaces[index];
    life.name = node.empty() ? "" : "workspace of " + node;
    return life;
  }
  life.name = plan.values(v).name();
  life.use = buffer.program() == -1 ? PersistentUse(plan.values(v), occupants.optimizer[index])
                                    : TransientUse(program, plan.values(v), buffer);
  return life;
}

// Differences of live bytes, added up.
void Accumulate(TierTimeline& tier) {
  Bytes live = tier.persistent;
  tier.peak = live;
  for (size_t i = 0; i < tier.live.size(); ++i) {
    live += tier.live[i];
    tier.live[i] = live;
    if (live <= tier.peak) continue;
    tier.peak = live;
    tier.peak_at = static_cast<int>(i);
  }
}

}  // namespace

std::string_view BufferUseName(BufferUse use) { return kUseNames[static_cast<size_t>(use)]; }

MemoryTimeline ComputeMemoryTimeline(const plan::Plan& plan, int program) {
  const plan::Program& p = plan.programs(program);
  const auto instructions = static_cast<size_t>(p.instructions_size());
  MemoryTimeline timeline;
  for (TierTimeline& tier : timeline.tiers) tier.live.assign(instructions, 0);
  timeline.tiers[plan::TIER_DEVICE].arena = plan.device_peak_bytes();
  timeline.tiers[plan::TIER_HOST].arena = plan.host_peak_bytes();
  timeline.tiers[plan::TIER_FILE].arena = plan.file_peak_bytes();
  const Occupants occupants = FindOccupants(plan, p);
  for (int b = 0; b < plan.buffers_size(); ++b) {
    const plan::Buffer& buffer = plan.buffers(b);
    TierTimeline& tier = timeline.tiers[static_cast<size_t>(buffer.tier())];
    if (buffer.program() == -1) {
      tier.persistent += buffer.size();
    } else if (buffer.program() == program) {
      if (buffer.begin() == buffer.end()) continue;
      tier.live[static_cast<size_t>(buffer.begin())] += buffer.size();
      const auto end = static_cast<size_t>(buffer.end());
      if (end < instructions) tier.live[end] -= buffer.size();
    } else {
      continue;
    }
    timeline.buffers.push_back(LifeOf(plan, p, b, occupants));
  }
  for (TierTimeline& tier : timeline.tiers) Accumulate(tier);
  std::stable_sort(timeline.buffers.begin(), timeline.buffers.end(),
                   [&](const BufferLife& a, const BufferLife& b) {
                     return plan.buffers(a.buffer).size() > plan.buffers(b.buffer).size();
                   });
  return timeline;
}

}  // namespace wsi
