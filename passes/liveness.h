// Liveness: which values share memory, and at which steps that memory must keep what
// it holds. Step s is the s-th node of the order.
#pragma once

#include <cstdint>
#include <vector>

#include "compiler/ir/graph.h"
#include "runtime/base/checked.h"
#include "runtime/base/status.h"

namespace wsi {

// Live at every step s with begin <= s < end.
struct LiveRange {
  int64_t begin = 0;
  int64_t end = 0;
  auto operator<=>(const LiveRange&) const = default;
};

// Values that lie in one buffer, each from its step on:
//
//   step      0    1    2    3    4
//   %x        ####################       Conv, read by Reshape and Relu
//   %x.flat        ###############       Reshape: a view of %x
//   %y                       ##########  Relu in place over %x.flat, which dies there
struct StorageClass {
  std::vector<ValueId> members;  // Ascending.
  Bytes size = 0;
  LiveRange live;
  Tier tier = Tier::kDevice;
  ValueId persistent;  // The member that persists, if one does.
};

struct Liveness {
  std::vector<StorageClass> classes;  // By their first members, ascending.
  std::vector<int32_t> class_of;      // By value; -1: nothing in the graph mentions it.
  int64_t steps = 0;                  // At least 1, so that what persists is live somewhere.
};

// - A view shares with what it is a view of.
// - The value of an update shares with its state: it is written where the state lies.
// - An output shares with an input where OpDef::in_place pairs them, their sizes are
//   the same and the input dies at that node, unless it is something that must not
//   change (persistent) or that is written from outside (input, target, scalar).
// Persistent values live throughout; inputs, targets and scalars from step 0 to their
// last use; outputs, the loss and what updates leave behind to the end. A parameter's
// gradient lives to its last use only: the executor looks at it right behind its
// producer. kInternal where an update cannot be written in place in this order.
// REQUIRES: a graph that VerifyGraph accepts.
Result<Liveness> ComputeLiveness(const Graph& graph);

// What offsets and room are multiples of: outside the device whole pages, which files are
// read and written in without a copy.
constexpr Bytes TierAlignment(Tier tier) {
  return tier == Tier::kDevice ? kBufferAlignment : Bytes{4096};
}

// Live bytes of a tier at each step: every class rounded up to the tier's alignment,
// workspaces included, what persists left out.
std::vector<Bytes> LiveBytesByStep(const Graph& graph, const Liveness& liveness,
                                   Tier tier = Tier::kDevice);

}  // namespace wsi
