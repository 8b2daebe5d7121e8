// CopySchedule: a graph with copies as operators in order and copies between them, which
// may move.
#pragma once

#include <vector>

#include "compiler/ir/graph.h"
#include "passes/copy_timing.h"
#include "runtime/base/checked.h"
#include "runtime/base/status.h"
#include "runtime/plan/plan.pb.h"

namespace wsi {

struct CopySchedule {
  std::vector<NodeId> ops;      // Positions: what runs on the compute lane.
  std::vector<double> seconds;  // By position.
  // By position, and for the end of the step: device bytes with the copies where they are.
  std::vector<Bytes> live;
  std::vector<TimedCopy> copies;  // Between device and host; in the graph's order.
  std::vector<NodeId> nodes;      // Theirs.
  // Nodes that are no instructions or are copies of other tiers, with the position that
  // they stand before.
  std::vector<std::vector<NodeId>> others;
  std::vector<int> group_ends;  // Positions behind which a group ends, ascending.
};

// REQUIRES: a graph that VerifyGraph accepts.
Result<CopySchedule> ReadCopySchedule(const Graph& graph, const plan::Rates& rates);

// Writes the copies where `issue` says, each copy out with a Hold where `hold` says, and
// group ends, with barriers where asked.
Status WriteCopySchedule(Graph& graph, const CopySchedule& schedule, bool barriers);

}  // namespace wsi
