#include "tests/plan/plan_mutations.h"

#include <algorithm>
#include <array>
#include <vector>

#include "runtime/base/checked.h"
#include "runtime/plan/plan_types.h"
#include "tests/plan/random_pick.h"

namespace wsi {
namespace {

using plan::Plan;
using Random = std::mt19937_64;

bool IsCopy(const plan::Instruction& i) { return i.has_copy(); }
bool IsLaunch(const plan::Instruction& i) { return i.has_launch(); }
bool IsBarrier(const plan::Instruction& i) { return i.has_barrier(); }
bool HasWaits(const plan::Instruction& i) { return i.waits_size() > 0; }

plan::Value& AnyValue(Plan& p, Random& random) {
  return *p.mutable_values(Below(random, p.values_size()));
}

bool Shift(int64_t by, int64_t& number) {
  number += by;
  return number >= 0 && by != 0;
}

// --- Waits and order.

bool DropWait(Plan& p, Random& random) {
  plan::Instruction* i = Find(p, random, HasWaits);
  if (i == nullptr) return false;
  const int at = Below(random, i->waits_size());
  i->mutable_waits()->erase(i->waits().begin() + at);
  return true;
}
bool DropWaits(Plan& p, Random& random) {
  plan::Instruction* i = Find(p, random, HasWaits);
  if (i != nullptr) i->clear_waits();
  return i != nullptr;
}
bool RedirectWait(Plan& p, Random& random) {
  plan::Instruction* i = Find(p, random, HasWaits);
  if (i == nullptr) return false;
  const int at = Below(random, i->waits_size());
  const int other = Other(random, i->waits(at) + 1, i->waits(at));
  if (other >= 0) i->set_waits(at, other);
  return other >= 0;
}
bool WaitForLater(Plan& p, Random& random) {
  plan::Program& program = AnyProgram(p, random);
  const int at = Below(random, program.instructions_size());
  const int later = at + Below(random, program.instructions_size() - at + 3);
  program.mutable_instructions(at)->add_waits(later);
  return true;
}
bool DropBarrier(Plan& p, Random& random) {
  plan::Instruction* i = Find(p, random, IsBarrier);
  if (i == nullptr) return false;  // Becomes a launch of nothing.
  i->mutable_launch()->set_op("Nothing");
  i->mutable_launch()->set_workspace(-1);
  i->set_lane(plan::LANE_COMPUTE);
  return true;
}
bool ChangeLane(Plan& p, Random& random) {
  plan::Instruction* i =
      Find(p, random, [](const plan::Instruction& found) { return !found.has_barrier(); });
  if (i == nullptr) return false;
  i->set_lane(static_cast<plan::Lane>(Other(random, plan::Lane_ARRAYSIZE, i->lane())));
  return true;
}

// Numbers in waits after the instructions have moved: new_place[old] == new.
void Renumber(plan::Program& program, const std::vector<int>& new_place) {
  for (plan::Instruction& i : *program.mutable_instructions()) {
    for (int32_t& wait : *i.mutable_waits()) {
      if (static_cast<size_t>(wait) < new_place.size()) wait = new_place[static_cast<size_t>(wait)];
    }
  }
}
bool MoveInstruction(Plan& p, Random& random) {
  plan::Program& program = AnyProgram(p, random);
  const int count = program.instructions_size();
  const int from = Below(random, count);
  const int to = Other(random, count, from);
  if (to < 0) return false;
  std::vector<int> new_place(static_cast<size_t>(count));
  for (int i = 0; i < count; ++i) {
    int place = i;
    if (i == from) place = to;
    if (from < to && i > from && i <= to) place = i - 1;
    if (to < from && i >= to && i < from) place = i + 1;
    new_place[static_cast<size_t>(i)] = place;
  }
  Renumber(program, new_place);
  auto* all = program.mutable_instructions();
  for (int i = from; i < to; ++i) all->SwapElements(i, i + 1);
  for (int i = from; i > to; --i) all->SwapElements(i, i - 1);
  return true;
}
bool SwapNeighbours(Plan& p, Random& random) {
  plan::Program& program = AnyProgram(p, random);
  const int count = program.instructions_size();
  if (count < 2) return false;
  const int at = Below(random, count - 1);
  std::vector<int> new_place;
  for (int i = 0; i < count; ++i) new_place.push_back(i == at ? i + 1 : i == at + 1 ? i - 1 : i);
  Renumber(program, new_place);
  program.mutable_instructions()->SwapElements(at, at + 1);
  return true;
}
// Leaves everything in place, so that lifetimes stay right, but does nothing any more.
bool DropWork(Plan& p, Random& random) {
  plan::Instruction* i =
      Find(p, random, [](const plan::Instruction& found) { return !found.has_barrier(); });
  if (i == nullptr) return false;
  i->clear_copy();
  i->mutable_launch()->Clear();
  i->mutable_launch()->set_op("Nothing");
  i->mutable_launch()->set_workspace(-1);
  i->set_lane(plan::LANE_COMPUTE);
  return true;
}
bool ChangePhase(Plan& p, Random& random) {
  plan::Instruction& i = AnyInstruction(p, random);
  i.set_phase(i.phase() == plan::PHASE_UPDATE ? plan::PHASE_BACKWARD : plan::PHASE_UPDATE);
  return true;
}

// --- Buffers.

bool ShiftOffset(Plan& p, Random& random) {
  plan::Buffer& buffer = AnyBuffer(p, random);
  int64_t offset = buffer.offset();
  if (!Shift(kBufferAlignment * (Below(random, 7) - 3), offset)) return false;
  buffer.set_offset(offset);
  return true;
}
bool UnalignOffset(Plan& p, Random& random) {
  plan::Buffer& buffer = AnyBuffer(p, random);
  buffer.set_offset(buffer.offset() + 1 + Below(random, 255));
  return true;
}
bool SwapOffsets(Plan& p, Random& random) {
  plan::Buffer& a = AnyBuffer(p, random);
  plan::Buffer& b = AnyBuffer(p, random);
  if (a.offset() == b.offset()) return false;
  const int64_t offset = a.offset();
  a.set_offset(b.offset());
  b.set_offset(offset);
  return true;
}
bool MoveBegin(Plan& p, Random& random) {
  plan::Buffer* buffer = AnyProgramBuffer(p, random);
  int64_t begin = buffer != nullptr ? buffer->begin() : 0;
  if (buffer == nullptr || !Shift(Below(random, 9) - 4, begin)) return false;
  buffer->set_begin(begin);
  return true;
}
bool MoveEnd(Plan& p, Random& random) {
  plan::Buffer* buffer = AnyProgramBuffer(p, random);
  int64_t end = buffer != nullptr ? buffer->end() : 0;
  if (buffer == nullptr || !Shift(Below(random, 9) - 4, end)) return false;
  buffer->set_end(end);
  return true;
}
bool EmptyLife(Plan& p, Random& random) {
  plan::Buffer* buffer = AnyProgramBuffer(p, random);
  if (buffer == nullptr || buffer->begin() == buffer->end()) return false;
  buffer->set_end(buffer->begin());
  return true;
}
// What never lives may lie anywhere, unless something is written to it all the same.
bool HideBuffer(Plan& p, Random& random) {
  plan::Buffer* buffer = AnyProgramBuffer(p, random);
  if (buffer == nullptr) return false;
  buffer->set_end(buffer->begin());
  buffer->set_offset(AnyBuffer(p, random).offset());
  return true;
}
bool ChangeSize(Plan& p, Random& random) {
  plan::Buffer& buffer = AnyBuffer(p, random);
  int64_t size = buffer.size();
  if (!Shift(64 * (Below(random, 13) - 6), size)) return false;
  buffer.set_size(size);
  return true;
}
bool ChangeTier(Plan& p, Random& random) {
  plan::Buffer& buffer = AnyBuffer(p, random);
  buffer.set_tier(static_cast<plan::Tier>(Other(random, 3, buffer.tier())));
  return true;
}
bool ChangeProgram(Plan& p, Random& random) {
  plan::Buffer& buffer = AnyBuffer(p, random);
  buffer.set_program(Other(random, p.programs_size() + 1, buffer.program() + 1) - 1);
  return true;
}
bool ShrinkArena(Plan& p, Random& random) {
  switch (Below(random, 3)) {
    case 0: p.set_device_peak_bytes(p.device_peak_bytes() - 1); break;
    case 1: p.set_host_peak_bytes(p.host_peak_bytes() - 1); break;
    default: p.set_file_peak_bytes(p.file_peak_bytes() - 1); break;
  }
  return true;
}

// --- Operands.

// A value of the same type and size.
int Like(const Plan& p, Random& random, int32_t old) {
  for (int tries = 0; old >= 0 && tries < 60; ++tries) {
    const int other = Below(random, p.values_size());
    if (other != old && ValueBytes(p.values(other)) == ValueBytes(p.values(old))) return other;
  }
  return -1;
}
bool RedirectInput(Plan& p, Random& random) {
  plan::Instruction* i = Find(p, random, IsLaunch);
  if (i == nullptr || i->launch().inputs_size() == 0) return false;
  const int at = Below(random, i->launch().inputs_size());
  const int other = Like(p, random, i->launch().inputs(at));
  if (other >= 0) i->mutable_launch()->set_inputs(at, other);
  return other >= 0;
}
bool RedirectOutput(Plan& p, Random& random) {
  plan::Instruction* i = Find(p, random, IsLaunch);
  if (i == nullptr || i->launch().outputs_size() == 0) return false;
  const int other = Like(p, random, i->launch().outputs(0));
  if (other >= 0) i->mutable_launch()->set_outputs(0, other);
  return other >= 0;
}
bool RedirectWorkspace(Plan& p, Random& random) {
  plan::Instruction* i = Find(p, random, IsLaunch);
  if (i != nullptr) i->mutable_launch()->set_workspace(Below(random, p.buffers_size()));
  return i != nullptr;
}
bool RedirectCopy(Plan& p, Random& random) {
  plan::Instruction* i = Find(p, random, IsCopy);
  if (i == nullptr) return false;
  const int32_t old = Below(random, 2) == 0 ? i->copy().from() : i->copy().to();
  for (int tries = 0; tries < 60; ++tries) {
    const int other = Below(random, p.buffers_size());
    const plan::Buffer& b = p.buffers(other);
    if (other == old || b.tier() != p.buffers(old).tier() || b.size() != p.buffers(old).size()) {
      continue;
    }
    if (old == i->copy().from()) {
      i->mutable_copy()->set_from(other);
    } else {
      i->mutable_copy()->set_to(other);
    }
    if (Below(random, 2) == 0) {
      i->mutable_copy()->clear_source();
      i->mutable_copy()->clear_result();
    }
    return true;
  }
  return false;
}
bool RedirectCopiedValue(Plan& p, Random& random) {
  plan::Instruction* i =
      Find(p, random, [](const plan::Instruction& found) { return found.copy().has_source(); });
  if (i == nullptr) return false;
  plan::Copy& copy = *i->mutable_copy();
  const bool source = Below(random, 2) == 0;
  const int other = Like(p, random, source ? copy.source() : copy.result());
  if (other < 0) return false;
  if (source) {
    copy.set_source(other);
    if (Below(random, 2) == 0) copy.set_from(p.values(other).buffer());
  } else {
    copy.set_result(other);
    if (Below(random, 2) == 0) copy.set_to(p.values(other).buffer());
  }
  return true;
}
bool ReverseCopy(Plan& p, Random& random) {
  plan::Instruction* i = Find(p, random, IsCopy);
  if (i == nullptr) return false;
  const plan::Copy old = i->copy();
  i->mutable_copy()->set_from(old.to());
  i->mutable_copy()->set_to(old.from());
  return true;
}

// --- Values and results.

bool MoveValue(Plan& p, Random& random) {
  plan::Value& value = AnyValue(p, random);
  const int other = Other(random, p.buffers_size(), value.buffer());
  if (p.buffers(other).size() < ValueBytes(value)) return false;
  value.set_buffer(other);
  return true;
}
bool ChangeType(Plan& p, Random& random) {
  plan::Value& value = AnyValue(p, random);
  const DType types[] = {DType::kF16, DType::kF64, DType::kI32, DType::kBF16, DType::kBool};
  value.set_dtype(static_cast<uint32_t>(types[Below(random, 5)]));
  return true;
}
bool ChangeDims(Plan& p, Random& random) {
  plan::Value& value = AnyValue(p, random);
  if (value.dims_size() < 2) return false;
  value.set_dims(1, std::max<int64_t>(1, value.dims(1) + 16 * (Below(random, 5) - 2)));
  return true;
}
bool ChangeRole(Plan& p, Random& random) {
  plan::Value& value = AnyValue(p, random);
  value.set_role(static_cast<plan::Role>(Other(random, plan::Role_ARRAYSIZE, value.role())));
  return true;
}
bool RedirectGradient(Plan& p, Random& random) {
  const int at = Below(random, p.persistents_size());
  const int32_t old = p.persistents(at).gradient();
  const int other = old < 0 ? -1 : Like(p, random, old);
  if (other >= 0) p.mutable_persistents(at)->set_gradient(other);
  return other >= 0;
}
bool RedirectResult(Plan& p, Random& random) {
  const int32_t other = Below(random, p.values_size());
  plan::Program& program = AnyProgram(p, random);
  if (program.outputs_size() > 0) {
    program.set_outputs(0, other);
  } else {
    program.set_loss(other);
  }
  return true;
}
bool RedirectSlot(Plan& p, Random& random) {
  plan::Program& program = AnyProgram(p, random);
  const int at = Below(random, program.inputs_size());
  const int other = Like(p, random, program.inputs(at));
  if (other >= 0) program.set_inputs(at, other);
  return other >= 0;
}
bool DropPersistent(Plan& p, Random& random) {
  p.mutable_persistents()->DeleteSubrange(Below(random, p.persistents_size()), 1);
  return true;
}

constexpr std::array kMutations = {
    PlanMutation{"drop-wait", DropWait},
    PlanMutation{"drop-waits", DropWaits},
    PlanMutation{"redirect-wait", RedirectWait},
    PlanMutation{"wait-for-later", WaitForLater, true},
    PlanMutation{"drop-barrier", DropBarrier},
    PlanMutation{"change-lane", ChangeLane, true},
    PlanMutation{"move-instruction", MoveInstruction},
    PlanMutation{"swap-neighbours", SwapNeighbours},
    PlanMutation{"drop-work", DropWork},
    PlanMutation{"change-phase", ChangePhase},
    PlanMutation{"shift-offset", ShiftOffset},
    PlanMutation{"unalign-offset", UnalignOffset, true},
    PlanMutation{"swap-offsets", SwapOffsets},
    PlanMutation{"move-begin", MoveBegin},
    PlanMutation{"move-end", MoveEnd},
    PlanMutation{"empty-life", EmptyLife},
    PlanMutation{"hide-buffer", HideBuffer},
    PlanMutation{"change-size", ChangeSize},
    PlanMutation{"change-tier", ChangeTier},
    PlanMutation{"change-program", ChangeProgram},
    PlanMutation{"shrink-arena", ShrinkArena, true},
    PlanMutation{"redirect-input", RedirectInput},
    PlanMutation{"redirect-output", RedirectOutput},
    PlanMutation{"redirect-workspace", RedirectWorkspace},
    PlanMutation{"redirect-copy", RedirectCopy},
    PlanMutation{"redirect-copied-value", RedirectCopiedValue},
    PlanMutation{"reverse-copy", ReverseCopy, true},
    PlanMutation{"move-value", MoveValue},
    PlanMutation{"change-type", ChangeType},
    PlanMutation{"change-dims", ChangeDims},
    PlanMutation{"change-role", ChangeRole},
    PlanMutation{"redirect-gradient", RedirectGradient},
    PlanMutation{"redirect-result", RedirectResult},
    PlanMutation{"redirect-slot", RedirectSlot},
    PlanMutation{"drop-persistent", DropPersistent, true},
};

}  // namespace

std::span<const PlanMutation> PlanMutations() { return kMutations; }

}  // namespace wsi
