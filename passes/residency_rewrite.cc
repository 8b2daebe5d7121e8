#include "passes/residency_rewrite.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "compiler/ops/op_def.h"
#include "passes/order_builder.h"

namespace wsi {
namespace {

class Rewriter {
 public:
  Rewriter(Graph& graph, const ResidencyModel& model, const ResidencySchedule& schedule)
      : graph_(graph),
        model_(model),
        schedule_(schedule),
        viewed_(static_cast<size_t>(graph.value_count())),
        value_of_(schedule.stays.size()),
        host_value_(schedule.copies.size()),
        is_update_only_(schedule.stays.size(), true) {}

  Status Run();

 private:
  void FindViews();
  void FindPhases();
  Status WriteCopies(int position);
  Status CopyIn(int copy);
  Status CopyOut(int copy);
  Result<ValueId> AddCopy(ValueId from, Tier to, Phase phase, std::string_view suffix);
  Status WriteOp(int position);
  Result<Node> RepeatOf(const Node& node, int position);
  Result<ValueId> Operand(ValueId original, int stay);
  Result<ValueId> ViewOn(ValueId root, ValueId view);
  Status WriteEagerViews();
  // The stay of `memory` among the operands of the operator at `position`.
  int StayAt(int position, int memory, bool written) const;
  void DropReplacedUpdates();
  Phase PhaseAt(int position) const;
  int MemoryOf(ValueId id) const { return model_.memory_of[static_cast<size_t>(id.index)]; }
  ValueId viewed(ValueId id) const { return viewed_[static_cast<size_t>(id.index)]; }
  const Stay& stay(int s) const { return schedule_.stays[static_cast<size_t>(s)]; }

  Graph& graph_;
  const ResidencyModel& model_;
  const ResidencySchedule& schedule_;
  std::vector<Node> old_nodes_;       // By operator of the model: as it was.
  std::vector<ValueId> viewed_;       // By old value: what it is a view of, or itself.
  std::vector<ValueId> value_of_;     // By stay: the value that it holds now.
  std::vector<ValueId> host_value_;   // By copy out.
  std::vector<bool> is_update_only_;  // By stay: only updates use it.
  std::map<std::pair<ValueId, ValueId>, ValueId> views_;  // (root, old view): its view on it.
  std::vector<std::pair<int, NodeId>> eager_;  // Views that somebody outside names, by how
                                               // many operators come before them.
  size_t next_eager_ = 0;
  int old_ops_ = 0;                          // Operators of the old order that are written.
  std::vector<std::vector<int>> copies_at_;  // By position.
  std::vector<NodeId> order_;
};

void Rewriter::FindViews() {
  std::set<ValueId> named(graph_.outputs.begin(), graph_.outputs.end());
  named.insert(graph_.loss);
  for (const StateUpdate& update : graph_.updates) named.insert(update.value);
  for (const ParameterGradient& pair : graph_.gradients) named.insert(pair.gradient);
  for (int32_t i = 0; i < graph_.value_count(); ++i) viewed_[static_cast<size_t>(i)] = ValueId{i};
  int ops = 0;
  for (const NodeId id : graph_.order()) {
    const Node& node = graph_.node(id);
    if (!FindOp(node.op)->is_view) {
      ++ops;
      continue;
    }
    if (!node.outputs[0].valid()) continue;
    viewed_[static_cast<size_t>(node.outputs[0].index)] = viewed(node.inputs[0]);
    // What a view that nobody reads is made of must not be forgotten for that.
    const int memory = MemoryOf(node.outputs[0]);
    const bool is_idle =
        memory < 0 || model_.memories[static_cast<size_t>(memory)].accesses.empty();
    if (is_idle || named.contains(node.outputs[0])) eager_.emplace_back(ops, id);
  }
}

Phase Rewriter::PhaseAt(int position) const {
  auto p = static_cast<size_t>(position);
  while (p < schedule_.ops.size() && schedule_.ops[p].is_repeat) ++p;
  if (p >= schedule_.ops.size()) return Phase::kBackward;
  return graph_.node(model_.ops[static_cast<size_t>(schedule_.ops[p].op)].node).phase;
}

void Rewriter::FindPhases() {
  for (const ScheduledOp& scheduled : schedule_.ops) {
    const ModelOp& op = model_.ops[static_cast<size_t>(scheduled.op)];
    if (!scheduled.is_repeat && graph_.node(op.node).phase == Phase::kUpdate) continue;
    for (size_t i = 0; i < op.reads.size() + op.writes.size(); ++i) {
      const int s = schedule_.operands[static_cast<size_t>(scheduled.first_operand) + i];
      is_update_only_[static_cast<size_t>(s)] = false;
    }
  }
}

int Rewriter::StayAt(int position, int memory, bool written) const {
  const ScheduledOp& scheduled = schedule_.ops[static_cast<size_t>(position)];
  const ModelOp& op = model_.ops[static_cast<size_t>(scheduled.op)];
  const std::vector<int>& list = written ? op.writes : op.reads;
  const auto i = static_cast<size_t>(std::find(list.begin(), list.end(), memory) - list.begin());
  WSI_CHECK(i < list.size());
  const size_t at =
      static_cast<size_t>(scheduled.first_operand) + (written ? op.reads.size() : size_t{0}) + i;
  return schedule_.operands[at];
}

Result<ValueId> Rewriter::AddCopy(ValueId from, Tier to, Phase phase, std::string_view suffix) {
  const std::string name = graph_.value(from).name + std::string(suffix);
  const std::string names[] = {name};
  const NodeId id = graph_.AddNode(MakeNode("Copy", name, {from}, {}, phase), names);
  WSI_RETURN_IF_ERROR(InferTypes(graph_, id));
  const ValueId copied = graph_.node(id).outputs[0];
  graph_.value(copied).tier = to;
  order_.push_back(id);
  return copied;
}

Status Rewriter::CopyIn(int c) {
  const ScheduledCopy& copy = schedule_.copies[static_cast<size_t>(c)];
  const auto s = static_cast<size_t>(copy.stay);
  const ModelMemory& memory = model_.memories[static_cast<size_t>(stay(copy.stay).memory)];
  const ValueId source =
      copy.source < 0 ? memory.value : host_value_[static_cast<size_t>(copy.source)];
  WSI_CHECK(source.valid());
  Phase phase = PhaseAt(copy.position);
  if (phase == Phase::kUpdate && !is_update_only_[s]) phase = Phase::kBackward;
  WSI_ASSIGN_OR_RETURN(value_of_[s], AddCopy(source, Tier::kDevice, phase, ".in"));
  return {};
}

Status Rewriter::CopyOut(int c) {
  const ScheduledCopy& copy = schedule_.copies[static_cast<size_t>(c)];
  const ValueId from = value_of_[static_cast<size_t>(copy.stay)];
  const NodeId maker = graph_.value(from).producer;
  const Phase phase = maker.valid() ? graph_.node(maker).phase : Phase::kForward;
  WSI_ASSIGN_OR_RETURN(const ValueId out, AddCopy(from, Tier::kHost, phase, ".out"));
  host_value_[static_cast<size_t>(c)] = out;
  for (StateUpdate& update : graph_.updates) {
    if (update.value == from) update.value = out;
  }
  return {};
}

Status Rewriter::WriteCopies(int position) {
  for (const int c : copies_at_[static_cast<size_t>(position)]) {
    WSI_RETURN_IF_ERROR(schedule_.copies[static_cast<size_t>(c)].is_in ? CopyIn(c) : CopyOut(c));
  }
  return {};
}

// The view of `root` that corresponds to the old value `view`, made where it is missing.
Result<ValueId> Rewriter::ViewOn(ValueId root, ValueId view) {
  const auto [at, is_new] = views_.try_emplace({root, view}, view);
  if (!is_new) return at->second;
  const NodeId old = graph_.value(view).producer;
  const ValueId from = graph_.node(old).inputs[0];
  ValueId base = root;
  if (viewed(from) != from) {
    WSI_ASSIGN_OR_RETURN(base, ViewOn(root, from));
  }
  if (viewed(view) == root) {  // The view that there was.
    order_.push_back(old);
    return view;
  }
  Node node = graph_.node(old);
  node.name += ".again";
  node.inputs[0] = base;
  const std::string names[] = {graph_.value(view).name + ".again"};
  const NodeId id = graph_.AddNode(std::move(node), names);
  WSI_RETURN_IF_ERROR(InferTypes(graph_, id));
  order_.push_back(id);
  views_[{root, view}] = graph_.node(id).outputs[0];
  return graph_.node(id).outputs[0];
}

Result<ValueId> Rewriter::Operand(ValueId original, int stay) {
  const ValueId held = value_of_[static_cast<size_t>(stay)];
  WSI_CHECK(held.valid());
  if (viewed(original) == original) return held;
  return ViewOn(held, original);
}

Status Rewriter::WriteEagerViews() {
  for (; next_eager_ < eager_.size() && eager_[next_eager_].first <= old_ops_; ++next_eager_) {
    const ValueId view = graph_.node(eager_[next_eager_].second).outputs[0];
    WSI_RETURN_IF_ERROR(ViewOn(viewed(view), view).status());
  }
  return {};
}

Result<Node> Rewriter::RepeatOf(const Node& node, int position) {
  Node again = node;
  again.name += ".again";
  again.outputs.clear();
  const Phase phase = PhaseAt(position);
  again.phase = phase == Phase::kUpdate ? Phase::kBackward : phase;
  for (ValueId& input : again.inputs) {
    if (!input.valid()) continue;
    const int memory = MemoryOf(input);
    if (memory < 0) {
      if (viewed(input) != input) {
        WSI_ASSIGN_OR_RETURN(input, ViewOn(viewed(input), input));
      }
      continue;
    }
    WSI_ASSIGN_OR_RETURN(input, Operand(input, StayAt(position, memory, false)));
  }
  return again;
}

Status Rewriter::WriteOp(int position) {
  const ScheduledOp& scheduled = schedule_.ops[static_cast<size_t>(position)];
  const NodeId old = model_.ops[static_cast<size_t>(scheduled.op)].node;
  const Node& old_node = old_nodes_[static_cast<size_t>(scheduled.op)];
  WSI_ASSIGN_OR_RETURN(Node node, RepeatOf(old_node, position));
  const std::vector<ValueId>& outputs = old_node.outputs;
  NodeId id = old;
  if (scheduled.is_repeat) {
    std::vector<std::string> names;
    names.reserve(outputs.size());
    for (const ValueId output : outputs) {
      names.push_back(output.valid() ? graph_.value(output).name + ".again" : "");
    }
    id = graph_.AddNode(std::move(node), names);
    WSI_RETURN_IF_ERROR(InferTypes(graph_, id));
  } else {
    graph_.node(old).inputs = std::move(node.inputs);
  }
  order_.push_back(id);
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (!outputs[i].valid() || MemoryOf(outputs[i]) < 0) continue;
    const int s = StayAt(position, MemoryOf(outputs[i]), true);
    value_of_[static_cast<size_t>(s)] = graph_.node(id).outputs[i];
  }
  if (!scheduled.is_repeat) {
    ++old_ops_;
    return WriteEagerViews();
  }
  return {};
}

// A state that the update phase makes twice goes home once: what it was first is replaced there
// before anyone reads it, as the mean of accumulated gradients is by zero.
void Rewriter::DropReplacedUpdates() {
  std::set<ValueId> read;
  for (const NodeId id : order_) {
    read.insert(graph_.node(id).inputs.begin(), graph_.node(id).inputs.end());
  }
  const auto is_updated = [&](const StateUpdate& update) {
    const NodeId maker = graph_.value(update.value).producer;
    return maker.valid() && graph_.node(maker).phase == Phase::kUpdate;
  };
  std::set<NodeId> dropped;
  for (auto update = graph_.updates.begin(); update != graph_.updates.end();) {
    const bool is_replaced =
        std::any_of(update + 1, graph_.updates.end(), [&](const StateUpdate& later) {
          return later.state == update->state && is_updated(later);
        });
    const NodeId maker = graph_.value(update->value).producer;
    if (is_replaced && is_updated(*update) && graph_.node(maker).op == "Copy" &&
        !read.contains(update->value)) {
      dropped.insert(maker);
      update = graph_.updates.erase(update);
    } else {
      ++update;
    }
  }
  std::erase_if(order_, [&](NodeId id) { return dropped.contains(id); });
}

Status Rewriter::Run() {
  for (const ModelOp& op : model_.ops) old_nodes_.push_back(graph_.node(op.node));
  FindViews();
  FindPhases();
  copies_at_.resize(schedule_.ops.size() + 1);
  for (const bool is_in : {false, true}) {  // Out first: what comes in may need the room.
    for (size_t c = 0; c < schedule_.copies.size(); ++c) {
      const ScheduledCopy& copy = schedule_.copies[c];
      if (copy.is_in != is_in) continue;
      // What goes home goes at once: the next operator may already replace it.
      const bool is_home =
          !is_in &&
          model_.memories[static_cast<size_t>(stay(copy.stay).memory)].kind == MemoryKind::kHomed;
      const int at = is_in ? copy.position : is_home ? copy.position + 1 : stay(copy.stay).last + 1;
      copies_at_[static_cast<size_t>(at)].push_back(static_cast<int>(c));
    }
  }
  for (size_t s = 0; s < schedule_.stays.size(); ++s) {
    const ModelMemory& memory = model_.memories[static_cast<size_t>(schedule_.stays[s].memory)];
    if (memory.kind == MemoryKind::kInput && schedule_.stays[s].copy_in < 0) {
      value_of_[s] = memory.value;
    }
    if (memory.kind == MemoryKind::kHomed) graph_.value(memory.value).tier = Tier::kHost;
  }
  WSI_RETURN_IF_ERROR(WriteEagerViews());
  for (int p = 0; p < static_cast<int>(schedule_.ops.size()); ++p) {
    WSI_RETURN_IF_ERROR(WriteCopies(p));
    WSI_RETURN_IF_ERROR(WriteOp(p));
  }
  WSI_RETURN_IF_ERROR(WriteCopies(static_cast<int>(schedule_.ops.size())));
  DropReplacedUpdates();
  graph_.SetOrder(std::move(order_));
  return {};
}

}  // namespace

Status WriteResidency(Graph& graph, const ResidencyModel& model,
                      const ResidencySchedule& schedule) {
  return Rewriter(graph, model, schedule).Run();
}

}  // namespace wsi
