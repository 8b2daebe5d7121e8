#include "passes/residency_schedule.h"

#include <algorithm>

namespace wsi {
namespace {

// Chains of repeats that are longer are given up.
constexpr int kMaxDepth = 2000;

}  // namespace

void ResidencySchedule::Clear() {
  is_possible = false;
  ops.clear();
  operands.clear();
  stays.clear();
  copies.clear();
}

ResidencyScheduler::ResidencyScheduler(const ResidencyModel& model)
    : model_(model),
      stay_of_(model.memories.size()),
      host_copy_(model.memories.size()),
      next_access_(model.memories.size()) {}

int ResidencyScheduler::Enter(int memory, int copy_in) {
  const auto position = static_cast<int>(schedule_.ops.size());
  const auto stay = static_cast<int>(schedule_.stays.size());
  schedule_.stays.push_back(
      {.memory = memory, .begin = position, .last = position, .copy_in = copy_in});
  stay_of_[static_cast<size_t>(memory)] = stay;
  return stay;
}

int ResidencyScheduler::GapAt(int memory, int op) const {
  const auto m = static_cast<size_t>(memory);
  const int next = next_access_[m];
  if (next == 0 || next >= static_cast<int>(model_.memories[m].accesses.size())) return kNone;
  const int gap = model_.gap_behind[m][static_cast<size_t>(next - 1)];
  if (gap < 0) return kNone;
  return model_.gaps[static_cast<size_t>(gap)].end > op ? gap : kNone;
}

bool ResidencyScheduler::CanComeBack(int memory) const {
  if (HasHostCopy(memory)) return true;
  const int maker = model_.memories[static_cast<size_t>(memory)].maker;
  return maker >= 0 && model_.ops[static_cast<size_t>(maker)].is_repeatable;
}

void ResidencyScheduler::StartCopyOut(int memory) {
  const auto m = static_cast<size_t>(memory);
  Stay& stay = schedule_.stays[static_cast<size_t>(stay_of_[m])];
  const bool is_input = model_.memories[m].kind == MemoryKind::kInput;
  stay.copy_out = static_cast<int>(schedule_.copies.size());
  schedule_.copies.push_back(
      {.is_in = false, .stay = stay_of_[m], .position = is_input ? -1 : stay.begin});
  host_copy_[m] = stay.copy_out;
}

// Behind the old order's operator `op`, which `memory` was an operand of.
void ResidencyScheduler::Leave(int memory, int op) {
  const auto m = static_cast<size_t>(memory);
  if (stay_of_[m] == kNone) return;
  const ModelMemory& of = model_.memories[m];
  if (next_access_[m] >= static_cast<int>(of.accesses.size())) {
    // Nobody but a repeat asks for it again. What cannot be had otherwise stays to be found.
    if (!of.is_kept_to_end && CanComeBack(memory)) stay_of_[m] = kNone;
    return;
  }
  const int gap = GapAt(memory, op);
  if (gap < 0) return;
  const Residency residency = choices_[static_cast<size_t>(gap)].residency;
  if (residency == Residency::kKeep) return;
  if (residency == Residency::kOffload && !HasHostCopy(memory)) StartCopyOut(memory);
  stay_of_[m] = kNone;
}

void ResidencyScheduler::LeaveBriefOnes(int op) {
  for (const int memory : brought_back_) {
    const auto m = static_cast<size_t>(memory);
    if (stay_of_[m] == kNone || !CanComeBack(memory)) continue;
    const ModelMemory& of = model_.memories[m];
    const bool is_last = next_access_[m] >= static_cast<int>(of.accesses.size());
    const int gap = GapAt(memory, op);
    const bool is_brief = gap >= 0 && choices_[static_cast<size_t>(gap)].is_brief;
    if (is_last ? !of.is_kept_to_end : is_brief) stay_of_[m] = kNone;
  }
  brought_back_.clear();
}

// What is recomputed comes first, so that what is copied in need not wait for it.
bool ResidencyScheduler::EnsureInputs(int op_index, int op) {
  const ModelOp& reader = model_.ops[static_cast<size_t>(op_index)];
  for (const bool copied : {false, true}) {
    for (const int memory : reader.reads) {
      if (HasHostCopy(memory) == copied && !Ensure(memory, op)) return false;
    }
  }
  return true;
}

bool ResidencyScheduler::BringBack(int memory, int op) {
  const auto m = static_cast<size_t>(memory);
  if (HasHostCopy(memory)) {
    const auto copy = static_cast<int>(schedule_.copies.size());
    const auto position = static_cast<int>(schedule_.ops.size());
    const int source = host_copy_[m] == kHome ? -1 : host_copy_[m];
    const int stay = Enter(memory, copy);
    schedule_.copies.push_back(
        {.is_in = true, .stay = stay, .position = position, .source = source});
    return true;
  }
  const int maker = model_.memories[m].maker;
  if (maker < 0) return false;
  const ModelOp& again = model_.ops[static_cast<size_t>(maker)];
  if (!again.is_repeatable || op > again.repeatable_until || depth_ >= kMaxDepth) return false;
  ++depth_;
  const bool is_fine = EnsureInputs(maker, op);
  --depth_;
  if (is_fine) Emit(maker, true);
  return is_fine;
}

bool ResidencyScheduler::Ensure(int memory, int op) {
  const auto m = static_cast<size_t>(memory);
  if (stay_of_[m] != kNone) return true;
  if (!BringBack(memory, op)) return false;
  brought_back_.push_back(memory);
  return true;
}

void ResidencyScheduler::Emit(int op_index, bool is_repeat) {
  const ModelOp& op = model_.ops[static_cast<size_t>(op_index)];
  const auto position = static_cast<int>(schedule_.ops.size());
  const auto first = static_cast<int>(schedule_.operands.size());
  for (const int memory : op.reads) {
    const int stay = stay_of_[static_cast<size_t>(memory)];
    schedule_.stays[static_cast<size_t>(stay)].last = position;
    schedule_.operands.push_back(stay);
  }
  for (const int memory : op.writes) {
    const auto m = static_cast<size_t>(memory);
    int stay = stay_of_[m];
    if (stay == kNone) {
      stay = Enter(memory, kNone);
    } else if (is_repeat) {
      // It is there already; this one is made for nobody.
      const int kept = stay;
      stay = Enter(memory, kNone);
      stay_of_[m] = kept;
    } else {
      schedule_.stays[static_cast<size_t>(stay)].last = position;
    }
    schedule_.operands.push_back(stay);
    if (is_repeat) brought_back_.push_back(memory);
  }
  schedule_.ops.push_back({.op = op_index, .is_repeat = is_repeat, .first_operand = first});
  if (is_repeat) return;
  for (const int memory : op.writes) {
    const auto m = static_cast<size_t>(memory);
    if (model_.memories[m].kind != MemoryKind::kHomed) continue;
    Stay& stay = schedule_.stays[static_cast<size_t>(stay_of_[m])];
    stay.copy_out = static_cast<int>(schedule_.copies.size());
    schedule_.copies.push_back({.is_in = false, .stay = stay_of_[m], .position = position});
    host_copy_[m] = stay.copy_out;
  }
}

const ResidencySchedule& ResidencyScheduler::Build(std::span<const GapChoice> choices) {
  choices_ = choices;
  schedule_.Clear();
  brought_back_.clear();
  std::fill(stay_of_.begin(), stay_of_.end(), kNone);
  std::fill(host_copy_.begin(), host_copy_.end(), kNone);
  std::fill(next_access_.begin(), next_access_.end(), 0);
  for (size_t m = 0; m < model_.memories.size(); ++m) {
    const ModelMemory& memory = model_.memories[m];
    if (memory.kind == MemoryKind::kHomed) host_copy_[m] = kHome;
    if (memory.kind == MemoryKind::kInput) Enter(static_cast<int>(m), kNone);
  }
  for (int op = 0; op < static_cast<int>(model_.ops.size()); ++op) {
    const ModelOp& of = model_.ops[static_cast<size_t>(op)];
    if (!EnsureInputs(op, op)) return schedule_;
    Emit(op, false);
    for (const std::vector<int>* list : {&of.reads, &of.writes}) {
      for (const int memory : *list) {
        const auto m = static_cast<size_t>(memory);
        int& next = next_access_[m];
        const std::vector<int>& accesses = model_.memories[m].accesses;
        if (next >= static_cast<int>(accesses.size()) ||
            accesses[static_cast<size_t>(next)] != op) {
          continue;  // It was seen as the other kind of operand.
        }
        ++next;
        Leave(memory, op);
      }
    }
    LeaveBriefOnes(op);
  }
  const auto end = static_cast<int>(schedule_.ops.size());
  for (size_t m = 0; m < model_.memories.size(); ++m) {
    if (!model_.memories[m].is_kept_to_end || stay_of_[m] == kNone) continue;
    schedule_.stays[static_cast<size_t>(stay_of_[m])].last = end;
  }
  schedule_.is_possible = true;
  return schedule_;
}

}  // namespace wsi
