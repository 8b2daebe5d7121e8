#include "passes/residency_model.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "compiler/ops/op_def.h"
#include "passes/liveness.h"
#include "passes/node_seconds.h"

namespace wsi {
namespace {

constexpr int kNever = std::numeric_limits<int>::max();

class ModelBuilder {
 public:
  ModelBuilder(const Graph& graph, const plan::Rates& rates, const ResidencyModelOptions& options)
      : graph_(graph),
        rates_(rates),
        options_(options),
        root_(static_cast<size_t>(graph.value_count())),
        state_of_(static_cast<size_t>(graph.value_count()), -1) {
    std::iota(root_.begin(), root_.end(), 0);
  }

  Result<ResidencyModel> Build() &&;

 private:
  void FindRoots();
  Status AddMemories();
  Status AddMemory(int32_t index);
  void AddOps();
  void AddOp(NodeId id);
  void MarkEnds();
  void FindRepeatable();
  void AddGaps();
  int MemoryOf(ValueId id) const {
    return id.valid() ? model_.memory_of[static_cast<size_t>(id.index)] : -1;
  }
  ModelMemory& memory(int m) { return model_.memories[static_cast<size_t>(m)]; }
  int32_t root(ValueId id) const { return root_[static_cast<size_t>(id.index)]; }

  const Graph& graph_;
  const plan::Rates& rates_;
  const ResidencyModelOptions& options_;
  std::vector<int32_t> root_;      // By value: whose bytes it is; states for their updates.
  std::vector<int32_t> state_of_;  // By root: the state that it becomes the contents of.
  std::vector<int> first_update_;  // By root of a state: the first operator that writes it.
  ResidencyModel model_;
};

void ModelBuilder::FindRoots() {
  for (const NodeId id : graph_.order()) {
    const Node& node = graph_.node(id);
    if (!FindOp(node.op)->is_view || !node.outputs[0].valid()) continue;
    root_[static_cast<size_t>(node.outputs[0].index)] = root(node.inputs[0]);
  }
  for (const StateUpdate& update : graph_.updates) {
    state_of_[static_cast<size_t>(root(update.value))] = update.state.index;
  }
  for (int32_t& r : root_) {
    if (state_of_[static_cast<size_t>(r)] >= 0) r = state_of_[static_cast<size_t>(r)];
  }
}

Status ModelBuilder::AddMemory(int32_t index) {
  const Value& value = graph_.value(ValueId{index});
  const Bytes size = AlignUp(value.shape.ByteCount(value.dtype), kBufferAlignment);
  ModelMemory added;
  added.value = ValueId{index};
  added.size = size;
  if (value.role == Role::kTarget || value.role == Role::kScalar) {
    WSI_ASSIGN_OR_RETURN(model_.fixed_bytes, CheckedAdd(model_.fixed_bytes, size));
    return {};
  }
  if (IsPersistent(value.role)) {
    const bool is_homed = options_.homed.contains(value.name);
    Bytes& bytes = is_homed ? model_.homed_bytes : model_.fixed_bytes;
    WSI_ASSIGN_OR_RETURN(
        bytes, CheckedAdd(bytes, is_homed ? AlignUp(size, TierAlignment(Tier::kHost)) : size));
    if (!is_homed) return {};
    added.kind = MemoryKind::kHomed;
  } else if (value.role == Role::kInput) {
    added.kind = MemoryKind::kInput;
  }
  model_.memory_of[static_cast<size_t>(index)] = static_cast<int>(model_.memories.size());
  model_.memories.push_back(std::move(added));
  return {};
}

Status ModelBuilder::AddMemories() {
  const auto count = static_cast<size_t>(graph_.value_count());
  model_.memory_of.assign(count, -1);
  for (int32_t i = 0; i < graph_.value_count(); ++i) {
    if (root_[static_cast<size_t>(i)] == i) WSI_RETURN_IF_ERROR(AddMemory(i));
  }
  for (size_t i = 0; i < count; ++i) {
    model_.memory_of[i] = model_.memory_of[static_cast<size_t>(root_[i])];
  }
  return {};
}

void AddOnce(std::vector<int>& list, int item) {
  if (std::find(list.begin(), list.end(), item) == list.end()) list.push_back(item);
}

void ModelBuilder::AddOp(NodeId id) {
  const Node& node = graph_.node(id);
  const OpDef* def = FindOp(node.op);
  const auto at = static_cast<int>(model_.ops.size());
  ModelOp op;
  op.node = id;
  op.seconds = NodeSeconds(graph_, id, rates_);
  op.workspace = AlignUp(node.workspace_bytes, kBufferAlignment);
  for (const ValueId input : node.inputs) {
    if (const int m = MemoryOf(input); m >= 0) AddOnce(op.reads, m);
  }
  for (const ValueId output : node.outputs) {
    if (!output.valid()) continue;
    const int32_t r = root(output);
    if (IsPersistent(graph_.value(ValueId{r}).role)) {
      int& first = first_update_[static_cast<size_t>(r)];
      first = std::min(first, at);
    }
    const int m = MemoryOf(output);
    if (m < 0) continue;
    AddOnce(op.writes, m);
    if (memory(m).kind == MemoryKind::kMade) memory(m).maker = at;
  }
  for (const auto& [output, input] : def->in_place) {
    const auto o = static_cast<size_t>(output);
    const auto i = static_cast<size_t>(input);
    if (o >= node.outputs.size() || i >= node.inputs.size()) continue;
    const int to = MemoryOf(node.outputs[o]);
    const int from = MemoryOf(node.inputs[i]);
    if (to < 0 || from < 0 || to == from || memory(to).size != memory(from).size) continue;
    if (graph_.value(node.outputs[o]).shape != graph_.value(node.inputs[i]).shape) continue;
    if (memory(from).kind != MemoryKind::kMade) continue;
    if (std::count(node.inputs.begin(), node.inputs.end(), node.inputs[i]) == 1) {
      op.in_place.emplace_back(to, from);
    }
  }
  for (const std::vector<int>* list : {&op.writes, &op.reads}) {
    for (const int m : *list) {
      std::vector<int>& accesses = memory(m).accesses;
      if (accesses.empty() || accesses.back() != at) accesses.push_back(at);
    }
  }
  model_.ops.push_back(std::move(op));
}

void ModelBuilder::AddOps() {
  first_update_.assign(static_cast<size_t>(graph_.value_count()), kNever);
  for (const NodeId id : graph_.order()) {
    if (!FindOp(graph_.node(id).op)->is_view) AddOp(id);
  }
}

// What is read behind the step stays. So do gradients that nobody updates with: the
// executor looks at them right behind their makers, which needs nothing more.
void ModelBuilder::MarkEnds() {
  const auto keep = [&](ValueId id) {
    if (const int m = MemoryOf(id); m >= 0) memory(m).is_kept_to_end = true;
  };
  for (const ValueId output : graph_.outputs) keep(output);
  keep(graph_.loss);
}

void ModelBuilder::FindRepeatable() {
  for (size_t at = 0; at < model_.ops.size(); ++at) {
    ModelOp& op = model_.ops[at];
    const Node& node = graph_.node(op.node);
    bool is_repeatable = node.phase == Phase::kForward;
    for (const ValueId output : node.outputs) {
      if (!output.valid()) continue;
      const Role role = graph_.value(ValueId{root(output)}).role;
      is_repeatable = is_repeatable && role == Role::kIntermediate;
    }
    int until = kNever;
    for (const ValueId input : node.inputs) {
      if (!input.valid()) continue;
      const int update = first_update_[static_cast<size_t>(root(input))];
      until = std::min(until, update);
      // Its contents are already those of the next step.
      if (update <= static_cast<int>(at)) is_repeatable = false;
    }
    op.is_repeatable = is_repeatable;
    op.repeatable_until = until;
  }
}

void ModelBuilder::AddGaps() {
  model_.gap_behind.resize(model_.memories.size());
  for (size_t m = 0; m < model_.memories.size(); ++m) {
    const ModelMemory& memory = model_.memories[m];
    model_.gap_behind[m].assign(memory.accesses.size(), -1);
    if (memory.size < options_.smallest || memory.is_kept_to_end) continue;
    for (size_t i = 0; i + 1 < memory.accesses.size(); ++i) {
      if (memory.accesses[i + 1] - memory.accesses[i] < 2) continue;
      model_.gap_behind[m][i] = static_cast<int>(model_.gaps.size());
      model_.gaps.push_back({.memory = static_cast<int>(m),
                             .index = static_cast<int>(i),
                             .begin = memory.accesses[i],
                             .end = memory.accesses[i + 1]});
    }
  }
}

Result<ResidencyModel> ModelBuilder::Build() && {
  FindRoots();
  WSI_RETURN_IF_ERROR(AddMemories());
  AddOps();
  MarkEnds();
  FindRepeatable();
  AddGaps();
  model_.in_rate = rates_.in_bytes();
  model_.out_rate = rates_.out_bytes();
  model_.read_rate = rates_.read_bytes();
  model_.write_rate = rates_.write_bytes();
  model_.copy_seconds = rates_.copy_seconds();
  return std::move(model_);
}

}  // namespace

Result<ResidencyModel> BuildResidencyModel(const Graph& graph, const plan::Rates& rates,
                                           const ResidencyModelOptions& options) {
  return ModelBuilder(graph, rates, options).Build();
}

std::set<std::string, std::less<>> HomeableValues(const Graph& graph, Bytes smallest) {
  std::set<std::string, std::less<>> names;
  for (int32_t i = 0; i < graph.value_count(); ++i) {
    const Value& value = graph.value(ValueId{i});
    if (!IsPersistent(value.role)) continue;
    if (value.shape.ByteCount(value.dtype) >= smallest) names.insert(value.name);
  }
  return names;
}

}  // namespace wsi
