// Random valid plans whose memory is shared as tightly as lifetimes allow.
//
// A training step and an inference on device, host and file memory: operators in place
// and with workspaces, views, values that leave the device and come back from host or
// file, persistent values at home in any tier, updates in the last phase among other
// work, barriers. Every instruction waits for exactly what it conflicts with, so hardly
// a wait can be left out.
#pragma once

#include <cstdint>

#include "runtime/plan/plan.pb.h"
#include "runtime/plan/plan_file.h"

namespace wsi {

struct RandomPlanOptions {
  uint64_t seed = 0;
  int steps = 30;                // Instructions of the training program before the updates, about.
  int64_t widths = 2;            // Tensors have one of so many sizes.
  int64_t unit = 16;             // Elements of the smallest; each other is a multiple.
  int64_t file_alignment = 256;  // Of offsets in host and file.
};

// fp32, with operators of the CPU backend. VerifyPlan accepts it.
plan::Plan MakeRandomPlan(const RandomPlanOptions& options);

// Small numbers for its persistent values. Borrows the plan.
PersistentSource RandomPlanData(const plan::Plan& plan);

}  // namespace wsi
