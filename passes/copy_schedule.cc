#include "passes/copy_schedule.h"

#include <algorithm>
#include <map>
#include <numeric>

#include "compiler/ops/op_def.h"
#include "passes/liveness.h"
#include "passes/node_seconds.h"
#include "passes/order_builder.h"
#include "runtime/timing/launch_time.h"

namespace wsi {
namespace {

class Reader {
 public:
  Reader(const Graph& graph, const plan::Rates& rates)
      : graph_(graph),
        rates_(rates),
        root_(static_cast<size_t>(graph.value_count())),
        made_(root_.size(), -1),
        first_use_(root_.size(), -1),
        last_use_(root_.size(), -1) {}

  Result<CopySchedule> Read() &&;

 private:
  void AddNode(NodeId id, Bytes live);
  void AddOp(NodeId id);
  void AddCopy(NodeId id);
  void FinishCopies();
  bool IsMovable(const Node& node) const {
    return FindOp(node.op)->lowers_to == LowersTo::kCopy &&
           graph_.value(node.inputs[0]).tier != Tier::kFile &&
           graph_.value(node.outputs[0]).tier != Tier::kFile;
  }
  size_t root(ValueId id) const { return root_[static_cast<size_t>(id.index)]; }

  const Graph& graph_;
  const plan::Rates& rates_;
  CopySchedule schedule_;
  // By value; roots of views stand for them.
  std::vector<size_t> root_;
  std::vector<int> made_;  // The position that makes it; -1: none does.
  std::vector<int> first_use_;
  std::vector<int> last_use_;
  std::map<size_t, int> copy_of_host_;  // By host value: the copy out that makes it.
};

void Reader::AddOp(NodeId id) {
  const Node& node = graph_.node(id);
  const auto position = static_cast<int>(schedule_.ops.size());
  for (const ValueId output : node.outputs) {
    if (!output.valid()) continue;
    made_[root(output)] = position;
    last_use_[root(output)] = position;
  }
  for (const ValueId input : node.inputs) {
    if (!input.valid()) continue;
    int& first = first_use_[root(input)];
    if (first < 0) first = position;
    last_use_[root(input)] = position;
  }
  schedule_.ops.push_back(id);
  schedule_.seconds.push_back(NodeSeconds(graph_, id, rates_));
  schedule_.others.emplace_back();
}

void Reader::AddCopy(NodeId id) {
  const Node& node = graph_.node(id);
  const Value& to = graph_.value(node.outputs[0]);
  const Bytes bytes = to.shape.ByteCount(to.dtype);
  const bool is_in = to.tier == Tier::kDevice;
  TimedCopy copy{.is_in = is_in, .bytes = AlignUp(bytes, kBufferAlignment)};
  copy.seconds = CopySeconds(rates_, is_in ? plan::LANE_IN : plan::LANE_OUT, bytes);
  if (!is_in) {
    copy.position = made_[root(node.inputs[0])];
    copy_of_host_[root(node.outputs[0])] = static_cast<int>(schedule_.copies.size());
  } else if (const auto at = copy_of_host_.find(root(node.inputs[0])); at != copy_of_host_.end()) {
    copy.source = at->second;
  }
  schedule_.copies.push_back(copy);
  schedule_.nodes.push_back(id);
}

void Reader::AddNode(NodeId id, Bytes live) {
  const Node& node = graph_.node(id);
  const OpDef* def = FindOp(node.op);
  if (IsMovable(node)) {
    AddCopy(id);
  } else if (def->lowers_to == LowersTo::kBarrier) {
    schedule_.group_ends.push_back(static_cast<int>(schedule_.ops.size()));
  } else if (def->is_view || def->lowers_to != LowersTo::kLaunch) {
    if (def->is_view && node.outputs[0].valid()) {
      root_[static_cast<size_t>(node.outputs[0].index)] = root(node.inputs[0]);
    }
    schedule_.others.back().push_back(id);
  } else {
    schedule_.live.push_back(live);
    AddOp(id);
  }
}

void Reader::FinishCopies() {
  for (size_t i = 0; i < schedule_.copies.size(); ++i) {
    TimedCopy& copy = schedule_.copies[i];
    const Node& node = graph_.node(schedule_.nodes[i]);
    if (copy.is_in) {
      const int first = first_use_[root(node.outputs[0])];
      copy.position = first < 0 ? static_cast<int>(schedule_.ops.size()) : first;
    } else {
      copy.last = std::max(last_use_[root(node.inputs[0])], 0);
    }
  }
}

Result<CopySchedule> Reader::Read() && {
  WSI_ASSIGN_OR_RETURN(const Liveness liveness, ComputeLiveness(graph_));
  const std::vector<Bytes> live = LiveBytesByStep(graph_, liveness);
  Bytes fixed = 0;
  for (const StorageClass& storage : liveness.classes) {
    if (!storage.persistent.valid() || storage.tier != Tier::kDevice) continue;
    WSI_ASSIGN_OR_RETURN(fixed, CheckedAdd(fixed, AlignUp(storage.size, kBufferAlignment)));
  }
  std::iota(root_.begin(), root_.end(), size_t{0});
  schedule_.others.emplace_back();
  for (size_t s = 0; s < graph_.order().size(); ++s) AddNode(graph_.order()[s], fixed + live[s]);
  schedule_.live.push_back(fixed + (live.empty() ? 0 : live.back()));
  FinishCopies();
  return std::move(schedule_);
}

}  // namespace

Result<CopySchedule> ReadCopySchedule(const Graph& graph, const plan::Rates& rates) {
  return Reader(graph, rates).Read();
}

Status WriteCopySchedule(Graph& graph, const CopySchedule& schedule, bool barriers) {
  const size_t positions = schedule.ops.size();
  std::vector<std::vector<size_t>> holds(positions + 1);
  std::vector<std::vector<size_t>> issues(positions + 1);
  for (size_t i = 0; i < schedule.copies.size(); ++i) {
    const TimedCopy& copy = schedule.copies[i];
    issues[static_cast<size_t>(copy.issue)].push_back(i);
    if (!copy.is_in && copy.hold > copy.issue) holds[static_cast<size_t>(copy.hold)].push_back(i);
  }
  OrderBuilder order(graph);
  const auto phase_at = [&](size_t p) {
    return graph.node(schedule.ops[std::min(p, positions - 1)]).phase;
  };
  size_t group = 0;
  for (size_t p = 0; p <= positions; ++p) {
    const auto position = static_cast<int>(p);
    for (const size_t i : holds[p]) {
      const ValueId source = graph.node(schedule.nodes[i]).inputs[0];
      Node hold = MakeNode("Hold", graph.value(source).name + ".hold", {source}, {}, phase_at(p));
      WSI_RETURN_IF_ERROR(order.Add(std::move(hold), std::span<const std::string>{}).status());
    }
    for (; group < schedule.group_ends.size() && schedule.group_ends[group] <= position; ++group) {
      Node end = MakeNode("GroupEnd", "group", {}, {{"barrier", int64_t{barriers}}}, phase_at(p));
      WSI_RETURN_IF_ERROR(order.Add(std::move(end), std::span<const std::string>{}).status());
    }
    std::stable_sort(issues[p].begin(), issues[p].end(), [&](size_t a, size_t b) {
      const TimedCopy& x = schedule.copies[a];
      const TimedCopy& y = schedule.copies[b];
      return std::pair(x.is_in, x.is_in ? x.position : 0) <
             std::pair(y.is_in, y.is_in ? y.position : 0);
    });
    for (const size_t i : issues[p]) order.Keep(schedule.nodes[i]);
    for (const NodeId id : schedule.others[p]) order.Keep(id);
    if (p < positions) order.Keep(schedule.ops[p]);
  }
  order.Finish();
  return {};
}

}  // namespace wsi
