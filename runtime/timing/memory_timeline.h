// What lies in the arenas at each instruction of a program.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "runtime/base/checked.h"
#include "runtime/plan/plan.pb.h"

namespace wsi {

struct TierTimeline {
  // By instruction: bytes of the buffers that are live there, persistent ones included.
  std::vector<Bytes> live;
  Bytes persistent = 0;
  Bytes peak = 0;   // The largest of `live`,
  int peak_at = 0;  // where it is reached first,
  Bytes arena = 0;  // and what the plan sets aside for the tier, which is at least that.
};

// What a buffer is for, by its first value and by when it begins and ends.
enum class BufferUse : uint8_t {
  kParameter,
  kState,  // Running statistics and constants.
  kOptimizer,
  kInput,       // Inputs, targets, scalars.
  kActivation,  // Begins in the forward phase and ends behind it.
  kForward,     // Begins and ends in the forward phase.
  kBackward,
  kUpdate,
  kWorkspace,  // Holds no value.
};
inline constexpr int kBufferUses = 9;
// "parameter", "state", "optimizer", ...
std::string_view BufferUseName(BufferUse use);

struct BufferLife {
  int buffer = -1;   // In plan.buffers().
  std::string name;  // Of its first value; "workspace of NODE"; empty for one never used.
  BufferUse use = BufferUse::kWorkspace;
  int begin = 0;  // Live at instructions begin <= i < end; persistent ones at all.
  int end = 0;
};

struct MemoryTimeline {
  std::array<TierTimeline, plan::Tier_ARRAYSIZE> tiers;  // By plan::Tier.
  // Every buffer that the program has or shares, by decreasing size.
  std::vector<BufferLife> buffers;
};

// REQUIRES: the plan has passed VerifyPlan and has a program of that number.
MemoryTimeline ComputeMemoryTimeline(const plan::Plan& plan, int program);

}  // namespace wsi
