// Where the ranks of one machine belong.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "runtime/placement/machine.h"

namespace wsi {

// What a rank brings along.
struct RankSeat {
  std::vector<int> bound;  // Machine::bound, as it sees it.
  int gpu_node = -1;       // NUMA node of its GPU; -1: none, or not known.

  bool operator==(const RankSeat&) const = default;
};

struct Placement {
  std::vector<int> processors;  // Empty: stays as it is.
  int node = -1;                // Where memory comes from first; -1: from anywhere.
  std::string reason;           // "NUMA node 1 is that of its GPU"

  bool binds() const { return !processors.empty(); }
};

// For each rank of the machine, by local rank. Who is near a GPU shares the cores of its node with
// the other ranks there, and who has none all cores with all, whole cores and neighbours:
//
//   node 0  | core 0 | core 1 | core 2 | core 3 |    node 1 ...
//   rank      0        0        1        1             2 ...
//
// What bound the ranks before is respected: a rank stays within the processors that it was left,
// those that were left the same ones share them, and one that has its own is not bound again.
// Neither is a rank without others, but for its GPU, nor are ranks of which there are more
// than cores.
std::vector<Placement> ChoosePlacements(const Machine& machine, std::span<const RankSeat> seats);

}  // namespace wsi
