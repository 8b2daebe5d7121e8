#include "passes/residency_starts.h"

#include <algorithm>

#include "passes/residency_search.h"

namespace wsi {
namespace {

using Choices = std::vector<GapChoice>;

const ModelMemory& MemoryOf(const ResidencyModel& model, size_t gap) {
  return model.memories[static_cast<size_t>(model.gaps[gap].memory)];
}

bool IsRepeatable(const ResidencyModel& model, const ModelMemory& memory) {
  return memory.maker >= 0 && model.ops[static_cast<size_t>(memory.maker)].is_repeatable;
}

// Forward values that all later forward operators depend on through them alone: behind
// their makers no other value that was made before is read by a repeatable operator.
std::vector<bool> FindJoints(const ResidencyModel& model) {
  std::vector<int> last_read(model.memories.size(), -1);  // By a repeatable operator.
  for (size_t i = 0; i < model.ops.size(); ++i) {
    if (!model.ops[i].is_repeatable) continue;
    for (const int m : model.ops[i].reads) last_read[static_cast<size_t>(m)] = static_cast<int>(i);
  }
  std::vector<int> crossing(model.ops.size() + 1, 0);  // Values read behind operator i.
  for (size_t m = 0; m < model.memories.size(); ++m) {
    const ModelMemory& memory = model.memories[m];
    if (memory.kind == MemoryKind::kHomed) continue;
    const int made = std::max(memory.maker, 0);
    if (last_read[m] <= made) continue;
    ++crossing[static_cast<size_t>(made)];
    --crossing[static_cast<size_t>(last_read[m])];
  }
  int now = 0;
  std::vector<bool> joints(model.memories.size(), false);
  for (size_t i = 0; i < model.ops.size(); ++i) {
    now += crossing[i];
    if (now != 1) continue;
    for (const int m : model.ops[i].writes) {
      if (last_read[static_cast<size_t>(m)] > static_cast<int>(i)) {
        joints[static_cast<size_t>(m)] = true;
      }
    }
  }
  return joints;
}

// Keeps every `stride`-th joint and recomputes between them.
Choices KeepJoints(const ResidencyModel& model, const std::vector<bool>& joints, int stride,
                   Residency residency) {
  std::vector<bool> kept(model.memories.size(), false);
  int count = 0;
  for (size_t i = 0; i < model.ops.size(); ++i) {
    for (const int m : model.ops[i].writes) {
      if (joints[static_cast<size_t>(m)]) kept[static_cast<size_t>(m)] = count++ % stride == 0;
    }
  }
  Choices choices(model.gaps.size());
  for (size_t g = 0; g < choices.size(); ++g) {
    const bool is_kept = kept[static_cast<size_t>(model.gaps[g].memory)];
    if (is_kept) {
      choices[g].residency = residency;
    } else if (IsRepeatable(model, MemoryOf(model, g))) {
      choices[g].residency = Residency::kRecompute;
    }
  }
  return choices;
}

// Recomputes what takes less time than copying it would.
Choices RecomputeCheapOnes(const ResidencyModel& model, Residency otherwise) {
  Choices choices(model.gaps.size());
  for (size_t g = 0; g < choices.size(); ++g) {
    const ModelMemory& memory = MemoryOf(model, g);
    choices[g].residency = otherwise;
    if (!IsRepeatable(model, memory)) continue;
    const double copied = static_cast<double>(memory.size) / model.out_rate;
    if (model.ops[static_cast<size_t>(memory.maker)].seconds < copied) {
      choices[g].residency = Residency::kRecompute;
    }
  }
  return choices;
}

}  // namespace

std::vector<Choices> ResidencyStarts(const ResidencyModel& model, const ResidencyGoal& goal) {
  const size_t gaps = model.gaps.size();
  std::vector<Choices> starts;
  starts.emplace_back(gaps);
  if (goal.may_offload) starts.emplace_back(gaps, GapChoice{Residency::kOffload});
  if (!goal.may_recompute) return starts;
  starts.push_back(RecomputeCheapOnes(model, Residency::kKeep));
  if (goal.may_offload) starts.push_back(RecomputeCheapOnes(model, Residency::kOffload));
  const std::vector<bool> joints = FindJoints(model);
  for (const int stride : {1, 2, 4}) {
    starts.push_back(KeepJoints(model, joints, stride, Residency::kKeep));
    if (goal.may_offload) starts.push_back(KeepJoints(model, joints, stride, Residency::kOffload));
  }
  return starts;
}

}  // namespace wsi
