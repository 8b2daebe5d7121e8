#include "passes/schedule.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <set>
#include <utility>
#include <vector>

#include "compiler/ops/collective.h"
#include "compiler/ops/op_def.h"
#include "passes/liveness.h"

namespace wsi {
namespace {

// How many ready nodes are weighed against each other at each step.
constexpr int kWindow = 256;

enum class Greed : uint8_t {
  kLeastBytes,  // The ready node that leaves the fewest bytes live.
  kIfItFrees,   // That, where it frees at least what it allocates; else the old order.
};

// Nodes by their place in the incoming order; what must precede what, and which memory
// each makes and reads. Memory is counted by view class.
struct Problem {
  size_t count = 0;
  std::vector<std::vector<size_t>> successors;
  std::vector<int32_t> predecessor_count;
  std::vector<std::vector<size_t>> reads;  // By node: memories, each once.
  std::vector<std::vector<size_t>> makes;
  std::vector<Bytes> size;          // By memory; 0 where it takes no room of its own.
  std::vector<int32_t> read_count;  // By memory; -1: kept to the end.
};

class ProblemBuilder {
 public:
  explicit ProblemBuilder(const Graph& graph);
  Problem Build() &&;

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
    problem_.successors[from].push_back(to);
    ++problem_.predecessor_count[to];
  }
  size_t memory(ValueId id) const { return memory_[static_cast<size_t>(id.index)]; }
  const Node& NodeAt(size_t at) const { return graph_.node(graph_.order()[at]); }

  const Graph& graph_;
  std::vector<size_t> memory_;                // By value: the value whose bytes it is.
  std::vector<size_t> producer_;              // By value: the node that makes it, or kNone.
  std::vector<std::vector<size_t>> readers_;  // By memory.
  Problem problem_;
};

ProblemBuilder::ProblemBuilder(const Graph& graph)
    : graph_(graph),
      memory_(static_cast<size_t>(graph.value_count())),
      producer_(memory_.size(), kNone),
      readers_(memory_.size()) {
  problem_.count = graph.order().size();
  problem_.successors.resize(problem_.count);
  problem_.predecessor_count.resize(problem_.count, 0);
  problem_.reads.resize(problem_.count);
  problem_.makes.resize(problem_.count);
  problem_.size.resize(memory_.size(), 0);
  problem_.read_count.resize(memory_.size(), 0);
  std::iota(memory_.begin(), memory_.end(), size_t{0});
}

void ProblemBuilder::FindMemories() {
  for (size_t at = 0; at < problem_.count; ++at) {
    const Node& node = NodeAt(at);
    if (!FindOp(node.op)->is_view || !node.outputs[0].valid()) continue;
    memory_[static_cast<size_t>(node.outputs[0].index)] = memory(node.inputs[0]);
  }
  for (size_t i = 0; i < memory_.size(); ++i) {
    const Value& value = graph_.value(ValueId{static_cast<int32_t>(i)});
    if (memory_[i] != i || IsPersistent(value.role)) continue;
    problem_.size[i] = AlignUp(value.shape.ByteCount(value.dtype), kBufferAlignment);
  }
}

void ProblemBuilder::AddReadsAndMakes() {
  for (size_t at = 0; at < problem_.count; ++at) {
    for (const ValueId input : NodeAt(at).inputs) {
      if (!input.valid()) continue;
      std::vector<size_t>& readers = readers_[memory(input)];
      if (!readers.empty() && readers.back() == at) continue;
      readers.push_back(at);
      problem_.reads[at].push_back(memory(input));
      ++problem_.read_count[memory(input)];
    }
    for (const ValueId output : NodeAt(at).outputs) {
      if (!output.valid()) continue;
      producer_[static_cast<size_t>(output.index)] = at;
      if (memory(output) != static_cast<size_t>(output.index)) continue;
      problem_.makes[at].push_back(memory(output));
    }
  }
}

void ProblemBuilder::AddEdges() {
  size_t last_forward = kNone;
  for (size_t at = 0; at < problem_.count; ++at) {
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
    problem_.size[memory(update.value)] = 0;
  }
}

// A collective writes over its operands, so that what else reads them comes before; but for what
// reads its results as well (lowering has it change a copy), as updates do.
bool ProblemBuilder::ReadsResultOf(size_t reader, size_t at) const {
  const std::vector<ValueId>& inputs = NodeAt(reader).inputs;
  return std::any_of(inputs.begin(), inputs.end(), [&](ValueId input) {
    return input.valid() && producer_[memory(input)] == at;
  });
}

void ProblemBuilder::LetCollectivesWrite() {
  for (size_t at = 0; at < problem_.count; ++at) {
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

void ProblemBuilder::KeepAlive() {
  for (const ValueId output : graph_.outputs) problem_.read_count[memory(output)] = -1;
  if (graph_.loss.valid()) problem_.read_count[memory(graph_.loss)] = -1;
}

Problem ProblemBuilder::Build() && {
  FindMemories();
  AddReadsAndMakes();
  AddEdges();
  LetCollectivesWrite();
  KeepAlive();
  return std::move(problem_);
}

// What running the node changes about the bytes that are live.
Bytes LiveChange(const Problem& problem, const std::vector<int32_t>& reads_left, size_t node) {
  Bytes change = 0;
  for (const size_t memory : problem.makes[node]) {
    if (reads_left[memory] != 0) change += problem.size[memory];
  }
  for (const size_t memory : problem.reads[node]) {
    if (reads_left[memory] == 1) change -= problem.size[memory];
  }
  return change;
}

std::vector<size_t> ListSchedule(const Problem& problem, Greed greed) {
  std::vector<int32_t> waits = problem.predecessor_count;
  std::vector<int32_t> reads_left = problem.read_count;
  std::set<size_t> ready;
  for (size_t at = 0; at < problem.count; ++at) {
    if (waits[at] == 0) ready.insert(at);
  }
  std::vector<size_t> order;
  order.reserve(problem.count);
  while (!ready.empty()) {
    auto best = ready.begin();
    Bytes best_change = LiveChange(problem, reads_left, *best);
    int weighed = 1;
    for (auto at = std::next(best); at != ready.end() && weighed < kWindow; ++at, ++weighed) {
      const Bytes change = LiveChange(problem, reads_left, *at);
      if (change >= best_change || (greed == Greed::kIfItFrees && change > 0)) continue;
      best = at;
      best_change = change;
    }
    const size_t node = *best;
    ready.erase(best);
    order.push_back(node);
    for (const size_t memory : problem.reads[node]) {
      if (reads_left[memory] > 0) --reads_left[memory];
    }
    for (const size_t next : problem.successors[node]) {
      if (--waits[next] == 0) ready.insert(next);
    }
  }
  WSI_CHECK(order.size() == problem.count);
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
  const Problem problem = ProblemBuilder(graph).Build();
  const std::vector<NodeId> incoming = graph.order();
  std::vector<NodeId> best = incoming;
  for (const Greed greed : {Greed::kIfItFrees, Greed::kLeastBytes}) {
    std::vector<NodeId> order;
    order.reserve(incoming.size());
    for (const size_t at : ListSchedule(problem, greed)) order.push_back(incoming[at]);
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
