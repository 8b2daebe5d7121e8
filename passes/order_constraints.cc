#include "passes/order_constraints.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "compiler/ops/collective.h"
#include "compiler/ops/op_def.h"

namespace wsi {
namespace {

class ConstraintFinder {
 public:
  explicit ConstraintFinder(const Graph& graph);
  OrderConstraints Find() &&;

 private:
  static constexpr size_t kNone = static_cast<size_t>(-1);

  void FindMemories();
  void AddReadsAndMakes();
  void AddEdges();
  bool ReadsResultOf(size_t reader, size_t at) const;
  void LetCollectivesWrite();
  void KeepAlive();
  void AddEdge(size_t from, size_t to) {
    if (from == to) return;
    constraints_.successors[from].push_back(to);
    ++constraints_.predecessor_count[to];
  }
  size_t memory(ValueId id) const { return memory_[static_cast<size_t>(id.index)]; }
  const Node& NodeAt(size_t at) const { return graph_.node(graph_.order()[at]); }

  const Graph& graph_;
  std::vector<size_t> memory_;                // By value: the value whose bytes it is.
  std::vector<size_t> producer_;              // By value: the node that makes it, or kNone.
  std::vector<std::vector<size_t>> readers_;  // By memory.
  OrderConstraints constraints_;
};

ConstraintFinder::ConstraintFinder(const Graph& graph)
    : graph_(graph),
      memory_(static_cast<size_t>(graph.value_count())),
      producer_(memory_.size(), kNone),
      readers_(memory_.size()) {
  constraints_.count = graph.order().size();
  constraints_.successors.resize(constraints_.count);
  constraints_.predecessor_count.resize(constraints_.count, 0);
  constraints_.reads.resize(constraints_.count);
  constraints_.makes.resize(constraints_.count);
  constraints_.size.resize(memory_.size(), 0);
  constraints_.read_count.resize(memory_.size(), 0);
  std::iota(memory_.begin(), memory_.end(), size_t{0});
}

void ConstraintFinder::FindMemories() {
  for (size_t at = 0; at < constraints_.count; ++at) {
    const Node& node = NodeAt(at);
    if (!FindOp(node.op)->is_view || !node.outputs[0].valid()) continue;
    memory_[static_cast<size_t>(node.outputs[0].index)] = memory(node.inputs[0]);
  }
  for (size_t i = 0; i < memory_.size(); ++i) {
    const Value& value = graph_.value(ValueId{static_cast<int32_t>(i)});
    if (memory_[i] != i || IsPersistent(value.role)) continue;
    constraints_.size[i] = AlignUp(value.shape.ByteCount(value.dtype), kBufferAlignment);
  }
}

void ConstraintFinder::AddReadsAndMakes() {
  for (size_t at = 0; at < constraints_.count; ++at) {
    for (const ValueId input : NodeAt(at).inputs) {
      if (!input.valid()) continue;
      std::vector<size_t>& readers = readers_[memory(input)];
      if (!readers.empty() && readers.back() == at) continue;
      readers.push_back(at);
      constraints_.reads[at].push_back(memory(input));
      ++constraints_.read_count[memory(input)];
    }
    for (const ValueId output : NodeAt(at).outputs) {
      if (!output.valid()) continue;
      producer_[static_cast<size_t>(output.index)] = at;
      if (memory(output) != static_cast<size_t>(output.index)) continue;
      constraints_.makes[at].push_back(memory(output));
    }
  }
}

void ConstraintFinder::AddEdges() {
  size_t last_forward = kNone;
  for (size_t at = 0; at < constraints_.count; ++at) {
    for (const ValueId input : NodeAt(at).inputs) {
      if (!input.valid()) continue;
      const size_t producer = producer_[static_cast<size_t>(input.index)];
      if (producer != kNone) AddEdge(producer, at);
    }
    if (NodeAt(at).phase != Phase::kForward) continue;
    if (last_forward != kNone) AddEdge(last_forward, at);
    last_forward = at;
  }
  // What a state held is read before its memory is written.
  std::vector<ValueId> held(memory_.size());
  for (const StateUpdate& update : graph_.updates) {
    ValueId& holder = held[static_cast<size_t>(update.state.index)];
    const ValueId old = holder.valid() ? holder : update.state;
    holder = update.value;
    const size_t writer = producer_[memory(update.value)];
    if (producer_[memory(old)] != kNone) AddEdge(producer_[memory(old)], writer);
    for (const size_t reader : readers_[memory(old)]) AddEdge(reader, writer);
    constraints_.size[memory(update.value)] = 0;
  }
}

// A collective writes over its operands, so that what else reads them comes before; but for what
// reads its results as well (lowering has it change a copy), as updates do.
bool ConstraintFinder::ReadsResultOf(size_t reader, size_t at) const {
  const std::vector<ValueId>& inputs = NodeAt(reader).inputs;
  return std::any_of(inputs.begin(), inputs.end(), [&](ValueId input) {
    return input.valid() && producer_[memory(input)] == at;
  });
}

void ConstraintFinder::LetCollectivesWrite() {
  for (size_t at = 0; at < constraints_.count; ++at) {
    if (!IsCollective(*FindOp(NodeAt(at).op))) continue;
    for (const ValueId input : NodeAt(at).inputs) {
      for (const size_t reader : readers_[memory(input)]) {
        if (NodeAt(reader).phase != Phase::kUpdate && !ReadsResultOf(reader, at)) {
          AddEdge(reader, at);
        }
      }
    }
  }
}

void ConstraintFinder::KeepAlive() {
  for (const ValueId output : graph_.outputs) constraints_.read_count[memory(output)] = -1;
  if (graph_.loss.valid()) constraints_.read_count[memory(graph_.loss)] = -1;
}

OrderConstraints ConstraintFinder::Find() && {
  FindMemories();
  AddReadsAndMakes();
  AddEdges();
  LetCollectivesWrite();
  KeepAlive();
  return std::move(constraints_);
}

}  // namespace

OrderConstraints FindOrderConstraints(const Graph& graph) { return ConstraintFinder(graph).Find(); }

}  // namespace wsi
