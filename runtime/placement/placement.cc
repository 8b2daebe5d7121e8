#include "runtime/placement/placement.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace wsi {
namespace {

// The cores' processors that are in `allowed`; without cores that have none.
std::vector<MachineCore> CoresWithin(const Machine& machine, const std::vector<int>& allowed,
                                     int node) {
  std::vector<MachineCore> cores;
  for (const MachineCore& core : machine.cores) {
    if (node >= 0 && core.node != node) continue;
    MachineCore usable = {.pus = {}, .node = core.node};
    std::set_intersection(core.pus.begin(), core.pus.end(), allowed.begin(), allowed.end(),
                          std::back_inserter(usable.pus));
    if (!usable.pus.empty()) cores.push_back(std::move(usable));
  }
  return cores;
}

// Share `index` of `count`.
Placement Share(const std::vector<MachineCore>& cores, size_t index, size_t count) {
  Placement placement;
  std::set<int> nodes;
  for (size_t c = index * cores.size() / count; c < (index + 1) * cores.size() / count; ++c) {
    placement.processors.insert(placement.processors.end(), cores[c].pus.begin(),
                                cores[c].pus.end());
    nodes.insert(cores[c].node);
  }
  std::sort(placement.processors.begin(), placement.processors.end());
  if (nodes.size() == 1) placement.node = *nodes.begin();
  return placement;
}

// Of the ranks that were left the same processors and have the same GPU node: which one it is,
// and how many there are.
struct Turn {
  size_t index = 0;
  size_t count = 0;
};
Turn TurnOf(std::span<const RankSeat> seats, size_t rank) {
  Turn turn;
  for (size_t r = 0; r < seats.size(); ++r) {
    if (seats[r] != seats[rank]) continue;
    if (r < rank) ++turn.index;
    ++turn.count;
  }
  return turn;
}

Placement Stay(std::string reason) {
  Placement placement;
  placement.reason = std::move(reason);
  return placement;
}

Placement Choose(const Machine& machine, const RankSeat& seat, const Turn& turn) {
  if (turn.count == 1) {
    if (static_cast<int>(seat.bound.size()) < machine.processors()) {
      return Stay("bound by what started it");
    }
    if (seat.gpu_node < 0) return Stay("no other rank has the same cores");
  }
  const std::string where =
      seat.gpu_node < 0 ? "" : fmt::format(" on NUMA node {}, their GPUs'", seat.gpu_node);
  const std::vector<MachineCore> cores = CoresWithin(machine, seat.bound, seat.gpu_node);
  if (cores.size() < turn.count) {
    return Stay(fmt::format("{} ranks, but {} cores{}", turn.count, cores.size(), where));
  }
  Placement placement = Share(cores, turn.index, turn.count);
  placement.reason = fmt::format("share {} of {}{}", turn.index, turn.count, where);
  return placement;
}

}  // namespace

std::vector<Placement> ChoosePlacements(const Machine& machine, std::span<const RankSeat> seats) {
  // Ranks that know no GPU of theirs may be anywhere, also among those that do.
  std::vector<RankSeat> known(seats.begin(), seats.end());
  const bool near_gpus = std::all_of(known.begin(), known.end(),
                                     [](const RankSeat& seat) { return seat.gpu_node >= 0; });
  if (!near_gpus) {
    for (RankSeat& seat : known) seat.gpu_node = -1;
  }
  std::vector<Placement> placements;
  for (size_t rank = 0; rank < known.size(); ++rank) {
    placements.push_back(Choose(machine, known[rank], TurnOf(known, rank)));
  }
  return placements;
}

}  // namespace wsi
