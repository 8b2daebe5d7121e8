// Lower: assigned graphs become the programs of a plan.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "compiler/ir/graph.h"
#include "runtime/base/status.h"
#include "runtime/plan/plan.pb.h"

namespace wsi {

// One program of the plan to be: "train" or "infer".
struct ProgramSource {
  std::string name;
  const Graph* graph = nullptr;
};

// A plan and where the initial contents of its persistent values come from.
struct LoweredPlan {
  plan::Plan plan;
  std::vector<std::string> tensor_keys;  // By persistent; empty: starts as zeros.
  const TensorStore* tensors = nullptr;  // Borrowed from the graphs.

  // The contents of plan.persistents(index) in the type and physical layout of its
  // value: one tensor at a time, because weights may be big. Fits PersistentSource
  // (runtime/plan/plan_file.h).
  // REQUIRES: data_bytes of that persistent is not 0.
  Result<Tensor> Data(int index) const;
};

// Lowers programs that share their persistent values: same name, type and place. Fills
// buffers, values, persistents, programs and device_peak_bytes; provenance, device,
// precision and training are the caller's. Views become no instructions: they are other
// names of bytes that are there. Checkpoints know a persistent value by the key of its
// tensor, or by its own name where it has none or the key is taken.
// kInvalidInput where a value's tensor is not in the store.
// REQUIRES: at least one program; graphs that VerifyGraph accepts with buffers assigned
// by one PersistentLayout, on one TensorStore that outlives the result.
Result<LoweredPlan> LowerToPlan(std::span<const ProgramSource> programs);

}  // namespace wsi
