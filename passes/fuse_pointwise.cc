#include "passes/fuse_pointwise.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <numeric>
#include <optional>
#include <queue>
#include <set>
#include <utility>
#include <vector>

#include "compiler/ops/op_def.h"
#include "passes/dead_code.h"
#include "passes/pointwise_clusters.h"
#include "passes/value_readers.h"
#include "runtime/base/pointwise_attributes.h"

namespace wsi {
namespace {

using Kind = PointwiseOperand::Kind;

// Operators of the forward pass that a program of the backward pass repeats at most.
constexpr size_t kMaxRepeated = 32;
constexpr size_t kMaxInputs = 32;
// A value this many times smaller than the domain is kept without a thought.
constexpr int64_t kSmall = 16;

// A value that is one number, known at compile time.
std::optional<double> NumberOf(const Graph& graph, ValueId id) {
  const Value& value = graph.value(id);
  double number = 0;
  if (value.producer.valid()) {
    const Node& node = graph.node(value.producer);
    if (node.op != "Fill" || !IsFloat(value.dtype)) return {};
    number = node.attributes.Float("value", 0.0);
  } else {
    const Tensor* tensor = graph.ConstantTensor(id);
    if (tensor == nullptr || value.shape.ElementCount() != 1 || !IsFloat(value.dtype)) return {};
    number = tensor->ToDoubles()[0];
  }
  return std::isnan(number) ? std::optional<double>() : number;
}

// The shape that all operands of a program broadcast to.
bool ReachDomain(const Graph& graph, const std::set<ValueId>& inputs, const Shape& domain) {
  Shape reached;
  for (const ValueId id : inputs) {
    Result<Shape> wider = BroadcastShapes(reached, graph.value(id).shape);
    if (!wider.ok()) return false;
    reached = std::move(wider).value();
  }
  return reached == domain && !inputs.empty();
}

// What a cluster reads and repeats.
struct Reads {
  std::set<ValueId> inputs;
  std::set<ValueId> repeated;  // Computed in the program by the forward pass's operators.
};

// A node to be made; nothing of the graph changes before all of them are known.
struct FusedNode {
  NodeId place;  // The node that becomes it.
  PointwiseAttributes kernel = {};
  std::vector<ValueId> inputs = {};
  std::vector<ValueId> outputs = {};
  Shape sum_shape = {};
};

class PointwiseFuser {
 public:
  explicit PointwiseFuser(Graph& graph)
      : graph_(graph), readers_(graph), clusters_(FindPointwiseClusters(graph)) {
    rank_.resize(static_cast<size_t>(graph.node_count()));
    std::iota(rank_.begin(), rank_.end(), 0);
  }

  Result<bool> Run();

 private:
  bool IsMember(size_t c, NodeId id) const {
    return id.valid() && cluster_of_[static_cast<size_t>(id.index)] == static_cast<int>(c);
  }
  void CollectReads(size_t c);
  bool IsBackward(size_t c) const {
    return graph_.node(clusters_[c].members[0]).phase == Phase::kBackward;
  }
  bool MayRepeat(ValueId id, const Shape& domain) const;
  bool IsKeptAnyway(ValueId id, const Reads& reads, const Shape& domain) const;
  bool Repeat(ValueId id, const Reads& reads, const Shape& domain, std::set<ValueId>& steps) const;
  void DecideRepeats(size_t c);
  bool IsNeeded(size_t c, ValueId id) const;
  FusedNode Build(size_t c) const;
  Status Emit(const FusedNode& fused);
  ValueId EmitSum(ValueId id, const Shape& shape, NodeId by);
  void Reorder();

  Graph& graph_;
  ValueReaders readers_;
  std::vector<PointwiseCluster> clusters_;
  std::vector<int> cluster_of_;                       // By node; -1: none.
  std::vector<Reads> reads_;                          // By cluster.
  std::vector<std::vector<size_t>> program_readers_;  // By value: clusters that read it.
  std::vector<int> rank_;                             // By node: its place in the old order.
  std::vector<NodeId> order_;                         // The new one, unsorted.
};

void PointwiseFuser::CollectReads(size_t c) {
  for (const NodeId member : clusters_[c].members) {
    for (const ValueId input : graph_.node(member).inputs) {
      if (IsMember(c, graph_.value(input).producer) || NumberOf(graph_, input)) continue;
      reads_[c].inputs.insert(input);
    }
  }
}

// A result of the forward pass that only programs and the forward pass read.
bool PointwiseFuser::MayRepeat(ValueId id, const Shape& domain) const {
  const Value& value = graph_.value(id);
  if (!value.producer.valid() || value.shape != domain || readers_.IsResult(id)) return false;
  if (graph_.node(value.producer).phase != Phase::kForward) return false;
  const auto is_free = [&](const Use& use) {
    return graph_.node(use.node).phase == Phase::kForward ||
           cluster_of_[static_cast<size_t>(use.node.index)] >= 0;
  };
  const auto& uses = readers_.uses(id);
  return std::all_of(uses.begin(), uses.end(), is_free);
}

bool PointwiseFuser::IsKeptAnyway(ValueId id, const Reads& reads, const Shape& domain) const {
  const Value& value = graph_.value(id);
  return reads.inputs.contains(id) || IsPersistent(value.role) ||
         value.shape.ElementCount() <= domain.ElementCount() / kSmall;
}

// Adds to `steps` the values that have to be computed for `id`, and `id`; false where
// something else than what is kept anyway would have to be read.
bool PointwiseFuser::Repeat(ValueId id, const Reads& reads, const Shape& domain,
                            std::set<ValueId>& steps) const {
  const NodeId producer = graph_.value(id).producer;
  if (!producer.valid() || graph_.node(producer).phase != Phase::kForward) return false;
  const PointwiseRole role = PointwiseRoleOf(graph_, producer);
  if (role != PointwiseRole::kStep && role != PointwiseRole::kAlias) return false;
  if (graph_.value(id).shape != domain || graph_.node(producer).op == "Expand") return false;
  for (const ValueId input : graph_.node(producer).inputs) {
    if (steps.contains(input) || NumberOf(graph_, input)) continue;
    if (IsKeptAnyway(input, reads, domain)) continue;
    if (steps.size() >= kMaxRepeated || !Repeat(input, reads, domain, steps)) return false;
  }
  steps.insert(id);
  return true;
}

// Earlier values first: what is repeated of later ones builds on what those keep.
void PointwiseFuser::DecideRepeats(size_t c) {
  Reads& reads = reads_[c];
  const Shape domain = PointwiseDomainOf(graph_, clusters_[c].members[0]);
  const std::vector<ValueId> inputs(reads.inputs.begin(), reads.inputs.end());
  for (const ValueId id : inputs) {
    if (!MayRepeat(id, domain)) continue;
    Reads without = reads;
    without.inputs.erase(id);
    if (!Repeat(id, without, domain, without.repeated)) continue;
    for (const ValueId step : without.repeated) {
      for (const ValueId input : graph_.node(graph_.value(step).producer).inputs) {
        if (without.repeated.contains(input) || NumberOf(graph_, input)) continue;
        without.inputs.insert(input);
      }
    }
    if (without.inputs.size() > kMaxInputs || !ReachDomain(graph_, without.inputs, domain))
      continue;
    reads = std::move(without);
  }
}

bool PointwiseFuser::IsNeeded(size_t c, ValueId id) const {
  if (readers_.IsResult(id)) return true;
  for (const size_t reader : program_readers_[static_cast<size_t>(id.index)]) {
    if (reader != c) return true;
  }
  const auto& uses = readers_.uses(id);
  return std::any_of(uses.begin(), uses.end(), [&](const Use& use) {
    return cluster_of_[static_cast<size_t>(use.node.index)] < 0;
  });
}

// One cluster's program on its way.
class ProgramBuilder {
 public:
  ProgramBuilder(const Graph& graph, const Reads& reads) : graph_(graph), reads_(reads) {}

  // What the program has for a value: a number, an input, or the step that makes it.
  PointwiseOperand OperandOf(ValueId id) {
    const auto found = operands_.find(id);
    if (found != operands_.end()) return found->second;
    PointwiseOperand operand;
    if (const auto number = NumberOf(graph_, id)) {
      operand = {.kind = Kind::kNumber, .number = *number};
    } else if (reads_.inputs.contains(id)) {
      operand = {.kind = Kind::kInput, .index = static_cast<int>(inputs_.size())};
      inputs_.push_back(id);
    } else {
      return Make(graph_.value(id).producer);
    }
    operands_.emplace(id, operand);
    return operand;
  }

  // The step of `producer`, or the operand that it is another name of.
  PointwiseOperand Make(NodeId producer) {
    const Node& node = graph_.node(producer);
    std::vector<PointwiseOperand> operands;
    for (const ValueId input : node.inputs) operands.push_back(OperandOf(input));
    const PointwiseOperand made =
        PointwiseRoleOf(graph_, producer) == PointwiseRole::kAlias
            ? operands[0]
            : Append(*FindPointwiseOp(node.op), operands, node.attributes);
    operands_.emplace(node.outputs[0], made);
    return made;
  }

  // A step whose result is the value.
  int StepOf(ValueId id) {
    const PointwiseOperand operand = OperandOf(id);
    if (operand.kind == Kind::kStep) return operand.index;
    const PointwiseOperand operands[] = {operand};
    return Append(*FindPointwiseOp("Identity"), operands, {}).index;
  }

  const std::vector<ValueId>& inputs() const { return inputs_; }
  PointwiseProgram& program() { return program_; }

 private:
  PointwiseOperand Append(const PointwiseOp& op, std::span<const PointwiseOperand> operands,
                          const Attributes& attributes) {
    program_.steps.push_back(MakePointwiseStep(op, operands, attributes));
    return {.kind = Kind::kStep, .index = static_cast<int>(program_.steps.size()) - 1};
  }

  const Graph& graph_;
  const Reads& reads_;
  PointwiseProgram program_;
  std::vector<ValueId> inputs_;
  std::map<ValueId, PointwiseOperand> operands_;
};

FusedNode PointwiseFuser::Build(size_t c) const {
  const std::vector<NodeId>& members = clusters_[c].members;
  const Shape domain = PointwiseDomainOf(graph_, members[0]);
  ProgramBuilder builder(graph_, reads_[c]);
  FusedNode fused{.place = members.back()};
  for (const NodeId member : members) {
    const Node& node = graph_.node(member);
    const ValueId y = node.outputs[0];
    if (!IsNeeded(c, y)) continue;
    const bool is_sum = PointwiseRoleOf(graph_, member) == PointwiseRole::kSum;
    fused.kernel.results.push_back({.step = builder.StepOf(is_sum ? node.inputs[0] : y),
                                    .dtype = graph_.value(y).dtype,
                                    .is_sum = is_sum});
    fused.outputs.push_back(y);
    if (!is_sum) continue;
    fused.kernel.axes = node.attributes.Ints("axes");
    std::sort(fused.kernel.axes.begin(), fused.kernel.axes.end());
    if (node.op == "ReduceMean") {
      fused.kernel.factor = static_cast<double>(graph_.value(y).shape.ElementCount()) /
                            static_cast<double>(domain.ElementCount());
    }
  }
  fused.kernel.program = std::move(builder.program());
  fused.inputs = builder.inputs();
  fused.sum_shape = fused.kernel.SumShape(domain);
  return fused;
}

// A sum that keeps its axes, of which `id` becomes a view.
ValueId PointwiseFuser::EmitSum(ValueId id, const Shape& shape, NodeId by) {
  Value sum = graph_.value(id);
  sum.name += ".sum";
  sum.shape = shape;
  sum.producer = by;
  const ValueId sum_id = graph_.AddValue(std::move(sum));
  const Shape& wanted = graph_.value(id).shape;
  Node view;
  view.name = graph_.node(by).name + ".shape";
  view.op = "Reshape";
  view.attributes = {{"shape", std::vector<int64_t>(wanted.begin(), wanted.end())}};
  view.inputs = {sum_id};
  view.phase = graph_.node(by).phase;
  const NodeId view_id = graph_.AddNode(std::move(view), {});
  graph_.node(view_id).outputs = {id};
  graph_.value(id).producer = view_id;
  rank_.push_back(rank_[static_cast<size_t>(by.index)]);
  order_.push_back(view_id);
  return sum_id;
}

// The last node of the cluster becomes its program; the others are left out of the order.
Status PointwiseFuser::Emit(const FusedNode& fused) {
  std::vector<ValueId> outputs;
  for (size_t i = 0; i < fused.outputs.size(); ++i) {
    const ValueId y = fused.outputs[i];
    const bool fits = !fused.kernel.results[i].is_sum || graph_.value(y).shape == fused.sum_shape;
    outputs.push_back(fits ? y : EmitSum(y, fused.sum_shape, fused.place));
    graph_.value(outputs.back()).producer = fused.place;
  }
  Node& node = graph_.node(fused.place);
  node.op = "Pointwise";
  node.attributes = WritePointwiseAttributes(fused.kernel);
  node.inputs = fused.inputs;
  node.outputs = std::move(outputs);
  order_.push_back(fused.place);
  return InferTypes(graph_, fused.place);
}

// The new nodes go where their operands are made and before whoever overwrites a state
// that they read; the others stay as they were as far as that allows.
void PointwiseFuser::Reorder() {
  const auto count = static_cast<size_t>(graph_.node_count());
  std::vector<std::vector<NodeId>> followers(count);
  std::vector<int> waits(count, 0);
  const auto follow = [&](NodeId before, NodeId after) {
    if (!before.valid() || before == after) return;
    followers[static_cast<size_t>(before.index)].push_back(after);
    ++waits[static_cast<size_t>(after.index)];
  };
  std::map<ValueId, NodeId> writer;  // The first one, of states.
  for (const StateUpdate& update : graph_.updates) {
    writer.try_emplace(update.state, graph_.value(update.value).producer);
  }
  for (const NodeId id : order_) {
    for (const ValueId input : graph_.node(id).inputs) {
      if (!input.valid()) continue;
      follow(graph_.value(input).producer, id);
      const auto found = writer.find(input);
      if (found != writer.end() && found->second.valid()) follow(id, found->second);
    }
  }
  using Ranked = std::pair<int, NodeId>;
  std::priority_queue<Ranked, std::vector<Ranked>, std::greater<>> ready;
  const auto add = [&](NodeId id) { ready.emplace(rank_[static_cast<size_t>(id.index)], id); };
  for (const NodeId id : order_) {
    if (waits[static_cast<size_t>(id.index)] == 0) add(id);
  }
  std::vector<NodeId> sorted;
  while (!ready.empty()) {
    const NodeId id = ready.top().second;
    ready.pop();
    sorted.push_back(id);
    for (const NodeId after : followers[static_cast<size_t>(id.index)]) {
      if (--waits[static_cast<size_t>(after.index)] == 0) add(after);
    }
  }
  WSI_CHECK(sorted.size() == order_.size());
  graph_.SetOrder(std::move(sorted));
}

Result<bool> PointwiseFuser::Run() {
  std::erase_if(clusters_, [&](const PointwiseCluster& cluster) {
    const std::set<NodeId> members(cluster.members.begin(), cluster.members.end());
    std::set<ValueId> inputs;
    for (const NodeId member : cluster.members) {
      for (const ValueId input : graph_.node(member).inputs) {
        if (members.contains(graph_.value(input).producer) || NumberOf(graph_, input)) continue;
        inputs.insert(input);
      }
    }
    return !ReachDomain(graph_, inputs, PointwiseDomainOf(graph_, cluster.members[0]));
  });
  cluster_of_.assign(static_cast<size_t>(graph_.node_count()), -1);
  for (size_t c = 0; c < clusters_.size(); ++c) {
    for (const NodeId member : clusters_[c].members) {
      cluster_of_[static_cast<size_t>(member.index)] = static_cast<int>(c);
    }
  }
  reads_.resize(clusters_.size());
  program_readers_.resize(static_cast<size_t>(graph_.value_count()));
  for (size_t c = 0; c < clusters_.size(); ++c) {
    CollectReads(c);
    if (IsBackward(c)) DecideRepeats(c);
    for (const ValueId id : reads_[c].inputs) {
      program_readers_[static_cast<size_t>(id.index)].push_back(c);
    }
  }
  std::vector<FusedNode> fused;
  for (const NodeId id : graph_.order()) {
    const int at = cluster_of_[static_cast<size_t>(id.index)];
    const auto c = static_cast<size_t>(at);
    if (at < 0 || (clusters_[c].members.size() == 1 && reads_[c].repeated.empty())) {
      order_.push_back(id);
    } else if (clusters_[c].members.back() == id) {
      fused.push_back(Build(c));
    }
  }
  std::erase_if(fused, [](const FusedNode& node) { return node.outputs.empty(); });
  if (fused.empty()) return false;
  for (const FusedNode& node : fused) WSI_RETURN_IF_ERROR(Emit(node));
  Reorder();
  return true;
}

}  // namespace

Result<bool> FusePointwise(Graph& graph) {
  RemoveDeadCode(graph);
  graph.Compact();  // Nodes are numbered by their order.
  WSI_ASSIGN_OR_RETURN(const bool changed, PointwiseFuser(graph).Run());
  if (changed) RemoveDeadCode(graph);
  return changed;
}

}  // namespace wsi
