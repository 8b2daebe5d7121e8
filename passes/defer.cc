#include "passes/defer.h"

#include <algorithm>
#include <deque>
#include <utility>
#include <vector>

#include "compiler/ops/collective.h"
#include "compiler/ops/op_def.h"
#include "passes/liveness.h"
#include "passes/order_constraints.h"

namespace wsi {
namespace {

Bytes PeakOf(const std::vector<Bytes>& live) { return *std::max_element(live.begin(), live.end()); }

// Walks along the order. Places are those of the order that came in.
class Deferrer {
 public:
  Deferrer(const Graph& graph, const Liveness& liveness);
  std::vector<NodeId> Run();

 private:
  void FindPredecessors();
  void FindHeld(const Liveness& liveness);
  const OpDef& OpAt(size_t at) const { return *FindOp(graph_.node(graph_.order()[at]).op); }
  bool MayWait(size_t at) const;
  void ReleaseOldest();
  void ReleaseUpTo(size_t place);
  void Place(size_t at);

  const Graph& graph_;
  std::vector<Bytes> live_;
  Bytes peak_;
  std::vector<std::vector<size_t>> predecessors_;
  std::vector<Bytes> held_;        // What dies with the node: the longer it waits, the longer that.
  std::vector<bool> behind_mean_;  // Whether it follows a collective.
  std::deque<size_t> waiting_;     // Ascending.
  std::vector<bool> waits_;
  Bytes held_by_waiting_ = 0;
  std::vector<NodeId> order_;
};

Deferrer::Deferrer(const Graph& graph, const Liveness& liveness)
    : graph_(graph),
      live_(LiveBytesByStep(graph, liveness)),
      peak_(PeakOf(live_)),
      predecessors_(graph.order().size()),
      held_(graph.order().size(), 0),
      behind_mean_(graph.order().size(), false),
      waits_(graph.order().size(), false) {
  FindPredecessors();
  FindHeld(liveness);
}

void Deferrer::FindPredecessors() {
  const OrderConstraints constraints = FindOrderConstraints(graph_);
  for (size_t from = 0; from < constraints.count; ++from) {
    for (const size_t to : constraints.successors[from]) predecessors_[to].push_back(from);
  }
  for (size_t at = 0; at < constraints.count; ++at) {
    const auto follows = [&](size_t before) {
      return behind_mean_[before] || IsCollective(OpAt(before));
    };
    behind_mean_[at] = std::any_of(predecessors_[at].begin(), predecessors_[at].end(), follows);
  }
}

void Deferrer::FindHeld(const Liveness& liveness) {
  for (const StorageClass& storage : liveness.classes) {
    if (storage.persistent.valid() || storage.tier != Tier::kDevice) continue;
    const auto end = static_cast<size_t>(storage.live.end);
    if (end == 0 || end > held_.size()) continue;
    held_[end - 1] += AlignUp(storage.size, kBufferAlignment);
  }
}

bool Deferrer::MayWait(size_t at) const {
  const OpDef& op = OpAt(at);
  return graph_.node(graph_.order()[at]).phase == Phase::kUpdate && behind_mean_[at] &&
         op.lowers_to == LowersTo::kLaunch && !IsCollective(op);
}

void Deferrer::ReleaseOldest() {
  const size_t at = waiting_.front();
  waiting_.pop_front();
  waits_[at] = false;
  held_by_waiting_ -= held_[at];
  order_.push_back(graph_.order()[at]);
}

void Deferrer::ReleaseUpTo(size_t place) {
  while (!waiting_.empty() && waiting_.front() <= place) ReleaseOldest();
}

// Whatever it follows goes before it.
void Deferrer::Place(size_t at) {
  if (OpAt(at).lowers_to == LowersTo::kBarrier) ReleaseUpTo(at);
  for (const size_t before : predecessors_[at]) {
    if (waits_[before]) ReleaseUpTo(before);
  }
  while (!waiting_.empty() && live_[at] + held_by_waiting_ > peak_) ReleaseOldest();
  order_.push_back(graph_.order()[at]);
}

std::vector<NodeId> Deferrer::Run() {
  order_.reserve(graph_.order().size());
  for (size_t at = 0; at < graph_.order().size(); ++at) {
    if (!MayWait(at)) {
      Place(at);
      continue;
    }
    waiting_.push_back(at);
    waits_[at] = true;
    held_by_waiting_ += held_[at];
  }
  ReleaseUpTo(graph_.order().size());
  return std::move(order_);
}

}  // namespace

Result<bool> DeferUpdates(Graph& graph, const DeferOptions& options, PassContext&) {
  if (!options.updates || graph.order().empty()) return false;
  WSI_ASSIGN_OR_RETURN(const Liveness liveness, ComputeLiveness(graph));
  const std::vector<NodeId> incoming = graph.order();
  const Bytes peak = PeakOf(LiveBytesByStep(graph, liveness));
  graph.SetOrder(Deferrer(graph, liveness).Run());
  if (graph.order() == incoming) return false;
  // What is made in place depends on the order.
  const Result<Liveness> deferred = ComputeLiveness(graph);
  if (deferred.ok() && PeakOf(LiveBytesByStep(graph, *deferred)) <= peak) return true;
  graph.SetOrder(incoming);
  return false;
}

}  // namespace wsi
