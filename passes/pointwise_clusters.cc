#include "passes/pointwise_clusters.h"

#include <algorithm>
#include <map>
#include <span>
#include <utility>

#include "compiler/ops/op_def.h"
#include "runtime/base/pointwise_program.h"

namespace wsi {
namespace {

constexpr int kMaxMembers = 48;
constexpr int kMaxOperands = 24;
constexpr int64_t kMaxSums = 1 << 16;
// Nodes that share an operand are joined where they stand this close to each other.
constexpr int kNear = 64;

bool IsProgramType(DType dtype) { return IsFloat(dtype) || dtype == DType::kBool; }

bool HasProgramTypes(const Graph& graph, const Node& node) {
  const auto fits = [&](ValueId id) {
    return id.valid() && IsProgramType(graph.value(id).dtype) &&
           graph.value(id).tier == Tier::kDevice;
  };
  return std::all_of(node.inputs.begin(), node.inputs.end(), fits) &&
         std::all_of(node.outputs.begin(), node.outputs.end(), fits);
}

// Sums that share a kernel agree in these.
struct SumForm {
  std::vector<int64_t> axes;
  bool is_mean = false;
  bool operator==(const SumForm&) const = default;
};

SumForm SumFormOf(const Node& node) {
  SumForm form{node.attributes.Ints("axes"), node.op == "ReduceMean"};
  std::sort(form.axes.begin(), form.axes.end());
  return form;
}

bool IsUpdatePhase(const Node& node) {
  return node.phase == Phase::kUpdate || node.op == "AccumulateGrad" || node.op == "MovingAverage";
}

class ClusterFinder {
 public:
  explicit ClusterFinder(const Graph& graph)
      : graph_(graph),
        position_(static_cast<size_t>(graph.node_count()), -1),
        cluster_(static_cast<size_t>(graph.node_count()), -1) {}

  std::vector<PointwiseCluster> Find();

 private:
  // A cluster, or a node of its own.
  struct Group {
    std::vector<NodeId> members;
    int first = 0;  // Positions in the order.
    int last = 0;
    bool has_role = false;
    bool has_step = false;
    std::vector<SumForm> sums = {};  // None or one.
  };

  int GroupOf(NodeId id) const { return cluster_[static_cast<size_t>(id.index)]; }
  Group& group(int g) { return groups_[static_cast<size_t>(g)]; }
  int ProducerOf(ValueId id) const {
    const NodeId producer = id.valid() ? graph_.value(id).producer : NodeId{};
    return producer.valid() ? GroupOf(producer) : -1;
  }
  int CutBefore(int position) const;
  bool HasOutsidePath(int from, int to);
  bool AgreeOnSums(const Group& a, const Group& b) const;
  int OperandCount(const Group& a, const Group& b) const;
  bool MayJoin(int a, int b);
  void Join(int a, int b);
  void TryJoin(int a, int b) {
    if (a >= 0 && b >= 0 && a != b && MayJoin(a, b)) Join(std::min(a, b), std::max(a, b));
  }

  const Graph& graph_;
  std::vector<int> position_;  // Of each node in the order.
  std::vector<int> cluster_;   // Of each node.
  std::vector<Group> groups_;
  // By position: the first position of all groups that reach across it.
  std::vector<int> covered_from_;
  std::vector<int> seen_;  // By group: the search that met it last.
  int search_ = 0;
};

// The last position up to this one that no group reaches across: nothing before it can
// follow, by way of groups either, what stands at `position`.
int ClusterFinder::CutBefore(int position) const {
  int cut = covered_from_[static_cast<size_t>(position)];
  while (covered_from_[static_cast<size_t>(cut)] < cut) {
    cut = covered_from_[static_cast<size_t>(cut)];
  }
  return cut;
}

// Whether a path leads from one group to the other through a third, or from a sum, which
// is there only when all of the kernel has run.
bool ClusterFinder::HasOutsidePath(int from, int to) {
  seen_.resize(groups_.size(), 0);
  ++search_;
  const int cut = CutBefore(group(from).first);
  std::vector<int> open;
  bool reads_sum = false;
  const auto visit = [&](int g, bool is_target) {
    for (const NodeId member : group(g).members) {
      for (const ValueId input : graph_.node(member).inputs) {
        const int producer = ProducerOf(input);
        if (producer < 0 || producer == g || producer == to) continue;
        if (producer == from && is_target) {  // The direct edge.
          const NodeId maker = graph_.value(input).producer;
          reads_sum |= PointwiseRoleOf(graph_, maker) == PointwiseRole::kSum;
          continue;
        }
        if (seen_[static_cast<size_t>(producer)] == search_) continue;
        if (group(producer).last < cut) continue;
        seen_[static_cast<size_t>(producer)] = search_;
        open.push_back(producer);
      }
    }
  };
  visit(to, true);
  if (reads_sum) return true;
  while (!open.empty()) {
    const int g = open.back();
    open.pop_back();
    if (g == from) return true;
    visit(g, false);
  }
  return false;
}

bool ClusterFinder::AgreeOnSums(const Group& a, const Group& b) const {
  return a.sums.empty() || b.sums.empty() || a.sums == b.sums;
}

int ClusterFinder::OperandCount(const Group& a, const Group& b) const {
  std::vector<ValueId> operands;
  for (const Group* g : {&a, &b}) {
    for (const NodeId member : g->members) {
      const auto& inputs = graph_.node(member).inputs;
      operands.insert(operands.end(), inputs.begin(), inputs.end());
    }
  }
  std::sort(operands.begin(), operands.end());
  return static_cast<int>(std::unique(operands.begin(), operands.end()) - operands.begin());
}

bool ClusterFinder::MayJoin(int a, int b) {
  const Group& one = group(a);
  const Group& two = group(b);
  if (!one.has_role || !two.has_role || (!one.has_step && !two.has_step)) return false;
  if (one.members.size() + two.members.size() > kMaxMembers) return false;
  const NodeId first = one.members.front();
  const NodeId second = two.members.front();
  if (graph_.node(first).phase != graph_.node(second).phase) return false;
  if (PointwiseDomainOf(graph_, first) != PointwiseDomainOf(graph_, second)) return false;
  if (!AgreeOnSums(one, two)) return false;
  if (OperandCount(one, two) > kMaxOperands) return false;
  return !HasOutsidePath(a, b) && !HasOutsidePath(b, a);
}

void ClusterFinder::Join(int a, int b) {
  Group& into = group(a);
  Group& from = group(b);
  for (const NodeId member : from.members) cluster_[static_cast<size_t>(member.index)] = a;
  into.members.insert(into.members.end(), from.members.begin(), from.members.end());
  into.first = std::min(into.first, from.first);
  into.last = std::max(into.last, from.last);
  for (int p = into.first; p <= into.last; ++p) {
    int& covered_from = covered_from_[static_cast<size_t>(p)];
    covered_from = std::min(covered_from, into.first);
  }
  into.has_step |= from.has_step;
  if (into.sums.empty()) into.sums = std::move(from.sums);
  from = Group{};
  std::stable_sort(into.members.begin(), into.members.end(), [&](NodeId x, NodeId y) {
    return position_[static_cast<size_t>(x.index)] < position_[static_cast<size_t>(y.index)];
  });
}

std::vector<PointwiseCluster> ClusterFinder::Find() {
  for (const NodeId id : graph_.order()) {
    const auto at = static_cast<int>(groups_.size());
    position_[static_cast<size_t>(id.index)] = at;
    cluster_[static_cast<size_t>(id.index)] = at;
    const PointwiseRole role = PointwiseRoleOf(graph_, id);
    Group g{.members = {id}, .first = at, .last = at};
    g.has_role = role != PointwiseRole::kNone;
    g.has_step = role == PointwiseRole::kStep;
    if (role == PointwiseRole::kSum) g.sums.push_back(SumFormOf(graph_.node(id)));
    groups_.push_back(std::move(g));
    covered_from_.push_back(at);
  }
  std::map<ValueId, std::pair<NodeId, int>> last_reader;  // With its position.
  for (const NodeId id : graph_.order()) {
    const PointwiseRole role = PointwiseRoleOf(graph_, id);
    if (role == PointwiseRole::kNone) continue;
    const Node& node = graph_.node(id);
    const int at = position_[static_cast<size_t>(id.index)];
    for (const ValueId input : node.inputs) TryJoin(ProducerOf(input), GroupOf(id));
    for (const ValueId input : node.inputs) {
      if (graph_.value(input).shape != PointwiseDomainOf(graph_, id)) continue;
      const auto [found, is_first] = last_reader.try_emplace(input, id, at);
      if (is_first) continue;
      if (at - found->second.second <= kNear) TryJoin(GroupOf(found->second.first), GroupOf(id));
      found->second = {id, at};
    }
  }
  std::vector<PointwiseCluster> clusters;
  for (Group& g : groups_) {
    if (g.has_role) clusters.push_back({std::move(g.members)});
  }
  return clusters;
}

}  // namespace

PointwiseRole PointwiseRoleOf(const Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  if (IsUpdatePhase(node) || node.inputs.empty() || node.outputs.size() != 1) {
    return PointwiseRole::kNone;
  }
  if (!HasProgramTypes(graph, node)) return PointwiseRole::kNone;
  const Value& x = graph.value(node.inputs[0]);
  const Value& y = graph.value(node.outputs[0]);
  if (y.shape.ElementCount() == 0 || x.shape.ElementCount() == 0) return PointwiseRole::kNone;
  if (node.op == "ReduceSum" || node.op == "ReduceMean") {
    const bool is_small = y.shape.ElementCount() <= kMaxSums;
    return is_small && IsFloat(x.dtype) ? PointwiseRole::kSum : PointwiseRole::kNone;
  }
  if (node.op == "Expand") return PointwiseRole::kAlias;
  if (node.op == "Cast") return IsFloat(y.dtype) ? PointwiseRole::kAlias : PointwiseRole::kNone;
  if (FindOp(node.op)->is_view) return PointwiseRole::kNone;
  return FindPointwiseOp(node.op) != nullptr ? PointwiseRole::kStep : PointwiseRole::kNone;
}

const Shape& PointwiseDomainOf(const Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  const bool is_sum = PointwiseRoleOf(graph, id) == PointwiseRole::kSum;
  return graph.value(is_sum ? node.inputs[0] : node.outputs[0]).shape;
}

std::vector<PointwiseCluster> FindPointwiseClusters(const Graph& graph) {
  return ClusterFinder(graph).Find();
}

}  // namespace wsi
