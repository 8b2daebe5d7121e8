#include "passes/schedule.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <set>
#include <utility>
#include <vector>

#include "passes/liveness.h"
#include "passes/order_constraints.h"

namespace wsi {
namespace {

// How many ready nodes are weighed against each other at each step.
constexpr int kWindow = 256;

enum class Greed : uint8_t {
  kLeastBytes,  // The ready node that leaves the fewest bytes live.
  kIfItFrees,   // That, where it frees at least what it allocates; else the old order.
};

// What running the node changes about the bytes that are live.
Bytes LiveChange(const OrderConstraints& constraints, const std::vector<int32_t>& reads_left,
                 size_t node) {
  Bytes change = 0;
  for (const size_t memory : constraints.makes[node]) {
    if (reads_left[memory] != 0) change += constraints.size[memory];
  }
  for (const size_t memory : constraints.reads[node]) {
    if (reads_left[memory] == 1) change -= constraints.size[memory];
  }
  return change;
}

std::vector<size_t> ListSchedule(const OrderConstraints& constraints, Greed greed) {
  std::vector<int32_t> waits = constraints.predecessor_count;
  std::vector<int32_t> reads_left = constraints.read_count;
  std::set<size_t> ready;
  for (size_t at = 0; at < constraints.count; ++at) {
    if (waits[at] == 0) ready.insert(at);
  }
  std::vector<size_t> order;
  order.reserve(constraints.count);
  while (!ready.empty()) {
    auto best = ready.begin();
    Bytes best_change = LiveChange(constraints, reads_left, *best);
    int weighed = 1;
    for (auto at = std::next(best); at != ready.end() && weighed < kWindow; ++at, ++weighed) {
      const Bytes change = LiveChange(constraints, reads_left, *at);
      if (change >= best_change || (greed == Greed::kIfItFrees && change > 0)) continue;
      best = at;
      best_change = change;
    }
    const size_t node = *best;
    ready.erase(best);
    order.push_back(node);
    for (const size_t memory : constraints.reads[node]) {
      if (reads_left[memory] > 0) --reads_left[memory];
    }
    for (const size_t next : constraints.successors[node]) {
      if (--waits[next] == 0) ready.insert(next);
    }
  }
  WSI_CHECK(order.size() == constraints.count);
  return order;
}

// The peak of live bytes, then their sum: the lower the better.
Result<std::pair<Bytes, double>> Score(const Graph& graph) {
  WSI_ASSIGN_OR_RETURN(const Liveness liveness, ComputeLiveness(graph));
  const std::vector<Bytes> live = LiveBytesByStep(graph, liveness);
  return std::pair(*std::max_element(live.begin(), live.end()),
                   std::accumulate(live.begin(), live.end(), 0.0));
}

}  // namespace

Result<bool> ScheduleNodes(Graph& graph, const ScheduleOptions&, PassContext&) {
  WSI_ASSIGN_OR_RETURN(auto best_score, Score(graph));
  const OrderConstraints constraints = FindOrderConstraints(graph);
  const std::vector<NodeId> incoming = graph.order();
  std::vector<NodeId> best = incoming;
  for (const Greed greed : {Greed::kIfItFrees, Greed::kLeastBytes}) {
    std::vector<NodeId> order;
    order.reserve(incoming.size());
    for (const size_t at : ListSchedule(constraints, greed)) order.push_back(incoming[at]);
    graph.SetOrder(order);
    WSI_ASSIGN_OR_RETURN(const auto score, Score(graph));
    if (score >= best_score) continue;
    best_score = score;
    best = std::move(order);
  }
  const bool changed = best != incoming;
  graph.SetOrder(std::move(best));
  return changed;
}

Result<PassFunction> MakeSchedulePass(const Attributes& options) {
  if (!options.entries().empty()) {
    return UsageError(
        fmt::format("unknown option '{}'; there are none", options.entries()[0].first));
  }
  return PassFunction([](Graph& graph, PassContext& context) {
    return ScheduleNodes(graph, ScheduleOptions{}, context);
  });
}

}  // namespace wsi
