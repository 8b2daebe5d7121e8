#include "passes/liveness.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include "compiler/ops/op_def.h"

namespace wsi {
namespace {

constexpr int64_t kNever = -1;

// What is known of a set of values that share memory.
struct Group {
  LiveRange live;
  bool is_mentioned = false;
  bool is_pinned = false;  // Nothing may be written over it, however dead.
};

class LivenessBuilder {
 public:
  explicit LivenessBuilder(const Graph& graph)
      : graph_(graph),
        steps_(static_cast<int64_t>(graph.order().size())),
        parent_(static_cast<size_t>(graph.value_count())),
        made_(static_cast<size_t>(graph.value_count()), kNever),
        groups_(static_cast<size_t>(graph.value_count())) {
    std::iota(parent_.begin(), parent_.end(), 0);
  }

  Result<Liveness> Run();

 private:
  size_t Find(ValueId id);
  void Unite(ValueId kept, ValueId joined);
  void Mention(ValueId id, int64_t begin, int64_t end);
  void MentionAll();
  void UniteViews();
  Status UniteUpdates();
  Status UniteUpdate(ValueId old, ValueId fresh);
  void UniteInPlace(const Node& node, int64_t step);
  bool MayOverwrite(const Node& node, int64_t step, std::pair<int, int> pair);
  Liveness Collect();

  const Node& NodeAt(int64_t step) const {
    return graph_.node(graph_.order()[static_cast<size_t>(step)]);
  }
  int64_t made(ValueId id) const { return made_[static_cast<size_t>(id.index)]; }

  const Graph& graph_;
  int64_t steps_;
  std::vector<size_t> parent_;  // Union-find over values.
  std::vector<int64_t> made_;   // By value: the step that makes it.
  std::vector<Group> groups_;   // By the root of the set.
};

size_t LivenessBuilder::Find(ValueId id) {
  auto at = static_cast<size_t>(id.index);
  while (parent_[at] != at) {
    parent_[at] = parent_[parent_[at]];
    at = parent_[at];
  }
  return at;
}

void LivenessBuilder::Unite(ValueId kept, ValueId joined) {
  const size_t a = Find(kept);
  const size_t b = Find(joined);
  if (a == b) return;
  parent_[b] = a;
  Group& group = groups_[a];
  const Group& other = groups_[b];
  group.live.begin = std::min(group.live.begin, other.live.begin);
  group.live.end = std::max(group.live.end, other.live.end);
  group.is_mentioned |= other.is_mentioned;
  group.is_pinned |= other.is_pinned;
}

void LivenessBuilder::Mention(ValueId id, int64_t begin, int64_t end) {
  if (!id.valid()) return;
  Group& group = groups_[static_cast<size_t>(id.index)];
  group.live.begin = group.is_mentioned ? std::min(group.live.begin, begin) : begin;
  group.live.end = std::max(group.live.end, end);
  group.is_mentioned = true;
}

void LivenessBuilder::MentionAll() {
  const int64_t behind_the_step = std::max<int64_t>(steps_, 1) + 1;  // Read by the caller.
  // What is written from outside is there until the first instruction has run.
  int64_t first = 0;
  while (first < steps_ && FindOp(NodeAt(first).op)->is_view) ++first;
  for (int32_t i = 0; i < graph_.value_count(); ++i) {
    const Role role = graph_.value(ValueId{i}).role;
    if (role == Role::kInput || role == Role::kTarget) Mention(ValueId{i}, 0, first + 1);
    groups_[static_cast<size_t>(i)].is_pinned = role != Role::kIntermediate;
  }
  const auto from = [&](ValueId id) { return std::max<int64_t>(made(id), 0); };
  for (int64_t s = 0; s < steps_; ++s) {
    for (const ValueId output : NodeAt(s).outputs) {
      if (output.valid()) made_[static_cast<size_t>(output.index)] = s;
      Mention(output, s, s + 1);
    }
    for (const ValueId input : NodeAt(s).inputs) {
      if (input.valid()) Mention(input, from(input), s + 1);
    }
  }
  for (const ValueId output : graph_.outputs) Mention(output, from(output), behind_the_step);
  if (graph_.loss.valid()) Mention(graph_.loss, from(graph_.loss), behind_the_step);
  for (const StateUpdate& update : graph_.updates) {
    Mention(update.state, 0, 1);
    Mention(update.value, from(update.value), from(update.value) + 1);
  }
  for (const ParameterGradient& pair : graph_.gradients) {
    Mention(pair.parameter, 0, 1);
    Mention(pair.gradient, from(pair.gradient), from(pair.gradient) + 1);
  }
}

void LivenessBuilder::UniteViews() {
  for (int64_t s = 0; s < steps_; ++s) {
    const Node& node = NodeAt(s);
    if (!FindOp(node.op)->is_view || !node.outputs[0].valid()) continue;
    Unite(node.inputs[0], node.outputs[0]);
  }
}

// Whether `pair` of the operator's in_place lets its output be written over its input,
// which nothing else at or behind the node reads.
bool LivenessBuilder::MayOverwrite(const Node& node, int64_t step, std::pair<int, int> pair) {
  const auto input = static_cast<size_t>(pair.second);
  if (input >= node.inputs.size() || !node.inputs[input].valid()) return false;
  const size_t root = Find(node.inputs[input]);
  if (groups_[root].live.end > step + 1) return false;
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    if (i != input && node.inputs[i].valid() && Find(node.inputs[i]) == root) return false;
  }
  return true;
}

// `old` is what the state's memory holds until `fresh` is made.
Status LivenessBuilder::UniteUpdate(ValueId old, ValueId fresh) {
  const auto fail = [&](std::string_view why) {
    return InternalError(fmt::format("%{} cannot be written over %{}: {}", graph_.value(fresh).name,
                                     graph_.value(old).name, why));
  };
  const size_t root = Find(fresh);
  const int64_t step = groups_[root].live.begin;
  if (groups_[root].is_pinned) return fail("it lies in memory that must not change");
  const size_t old_root = Find(old);
  if (groups_[old_root].live.end > step + 1) return fail("that is read later");
  if (groups_[old_root].live.end == step + 1) {
    const Node& node = NodeAt(step);
    bool is_allowed = true;
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      if (!node.inputs[i].valid() || Find(node.inputs[i]) != old_root) continue;
      const auto pairs = FindOp(node.op)->in_place;
      is_allowed &= std::any_of(pairs.begin(), pairs.end(), [&](std::pair<int, int> pair) {
        const auto output = static_cast<size_t>(pair.first);
        return static_cast<size_t>(pair.second) == i && output < node.outputs.size() &&
               node.outputs[output].valid() && Find(node.outputs[output]) == root &&
               MayOverwrite(node, step, pair);
      });
    }
    if (!is_allowed) return fail(fmt::format("{} '{}' reads that", node.op, node.name));
  }
  return {};
}

Status LivenessBuilder::UniteUpdates() {
  struct Step {
    ValueId state;
    ValueId old;
    ValueId fresh;
  };
  std::vector<Step> steps;
  std::vector<ValueId> held(static_cast<size_t>(graph_.value_count()));
  for (const StateUpdate& update : graph_.updates) {
    ValueId& holder = held[static_cast<size_t>(update.state.index)];
    steps.push_back({update.state, holder.valid() ? holder : update.state, update.value});
    holder = update.value;
  }
  // All are judged by the reads of each single value, then all are united.
  for (const Step& step : steps) WSI_RETURN_IF_ERROR(UniteUpdate(step.old, step.fresh));
  for (const Step& step : steps) {
    if (groups_[Find(step.fresh)].is_pinned) {
      return InternalError(
          fmt::format("%{} is the next contents of two states", graph_.value(step.fresh).name));
    }
    Unite(step.state, step.fresh);
  }
  return {};
}

void LivenessBuilder::UniteInPlace(const Node& node, int64_t step) {
  for (const std::pair<int, int>& pair : FindOp(node.op)->in_place) {
    const auto output = static_cast<size_t>(pair.first);
    if (output >= node.outputs.size() || !node.outputs[output].valid()) continue;
    if (!MayOverwrite(node, step, pair)) continue;
    const ValueId from = node.inputs[static_cast<size_t>(pair.second)];
    const ValueId to = node.outputs[output];
    const size_t root = Find(to);
    if (groups_[Find(from)].is_pinned || groups_[root].is_pinned || Find(from) == root) continue;
    if (groups_[root].live.begin != step) continue;  // It already overwrites another input.
    const Value& a = graph_.value(from);
    const Value& b = graph_.value(to);
    if (a.shape == b.shape && DTypeBytes(a.dtype) == DTypeBytes(b.dtype)) Unite(from, to);
  }
}

Liveness LivenessBuilder::Collect() {
  Liveness liveness;
  liveness.steps = std::max<int64_t>(steps_, 1);
  liveness.class_of.assign(static_cast<size_t>(graph_.value_count()), -1);
  std::vector<int32_t> class_of_root(static_cast<size_t>(graph_.value_count()), -1);
  for (int32_t i = 0; i < graph_.value_count(); ++i) {
    const ValueId id{i};
    const size_t root = Find(id);
    if (!groups_[root].is_mentioned) continue;
    int32_t& index = class_of_root[root];
    if (index < 0) {
      index = static_cast<int32_t>(liveness.classes.size());
      const LiveRange live = groups_[root].live;
      liveness.classes.emplace_back().live = {live.begin, std::min(live.end, liveness.steps)};
      liveness.classes.back().tier = graph_.value(id).tier;
    }
    StorageClass& storage = liveness.classes[static_cast<size_t>(index)];
    const Value& value = graph_.value(id);
    storage.members.push_back(id);
    storage.size = std::max(storage.size, value.shape.ByteCount(value.dtype));
    if (IsPersistent(value.role)) {
      storage.persistent = id;
      storage.live = {0, liveness.steps};
    }
    liveness.class_of[static_cast<size_t>(i)] = index;
  }
  return liveness;
}

Result<Liveness> LivenessBuilder::Run() {
  MentionAll();
  UniteViews();
  WSI_RETURN_IF_ERROR(UniteUpdates());
  for (int64_t s = 0; s < steps_; ++s) UniteInPlace(NodeAt(s), s);
  return Collect();
}

}  // namespace

Result<Liveness> ComputeLiveness(const Graph& graph) { return LivenessBuilder(graph).Run(); }

std::vector<Bytes> LiveBytesByStep(const Graph& graph, const Liveness& liveness, Tier tier) {
  std::vector<Bytes> change(static_cast<size_t>(liveness.steps) + 1, 0);
  for (const StorageClass& storage : liveness.classes) {
    if (storage.persistent.valid() || storage.tier != tier) continue;
    const Bytes size = AlignUp(storage.size, TierAlignment(tier));
    change[static_cast<size_t>(storage.live.begin)] += size;
    change[static_cast<size_t>(storage.live.end)] -= size;
  }
  std::vector<Bytes> live(static_cast<size_t>(liveness.steps), 0);
  Bytes sum = 0;
  for (size_t s = 0; s < live.size(); ++s) {
    sum += change[s];
    live[s] = sum;
    if (s >= graph.order().size() || tier != Tier::kDevice) continue;
    live[s] += AlignUp(graph.node(graph.order()[s]).workspace_bytes, kBufferAlignment);
  }
  return live;
}

}  // namespace wsi
