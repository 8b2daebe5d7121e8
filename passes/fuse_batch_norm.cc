#include "passes/fuse_batch_norm.h"

#include <algorithm>
#include <utility>

#include "compiler/ops/op_def.h"
#include "passes/dead_code.h"
#include "passes/order_builder.h"
#include "passes/value_readers.h"

namespace wsi {
namespace {

constexpr std::string_view kApply = "BatchNormApply";
constexpr std::string_view kGradStats = "BatchNormGradStats";
constexpr std::string_view kGradApply = "BatchNormGradApply";
constexpr std::string_view kGradFrozen = "BatchNormGradFrozen";
constexpr size_t kResidual = 5;  // Operand of BatchNormApply.
constexpr size_t kAddend = 7;    // Operand of BatchNormGradStats.

// The operand that is the activated output y, of a gradient whose operand 0 is dy.
size_t ActivationOperand(std::string_view op) {
  if (op == kGradStats) return 4;
  return op == kGradApply ? 7 : 3;
}

bool IsApplyToFuse(const Graph& graph, const ValueReaders& readers, ValueId id) {
  const NodeId producer = graph.value(id).producer;
  if (!producer.valid() || !readers.HasOneUse(id)) return false;
  const Node& node = graph.node(producer);
  return node.op == kApply && node.attributes.Int("relu", 0) == 0 &&
         OpView(graph, producer).HasInput(kResidual) == false;
}

// Turns node `id`, a Relu or an Add, into `apply` with `residual` behind it. It keeps its
// place, where all operands are there.
Status BecomeApply(Graph& graph, NodeId id, NodeId apply, ValueId residual, bool relu) {
  const Node source = graph.node(apply);
  Node& node = graph.node(id);
  node.name = source.name;
  node.op = source.op;
  node.attributes = source.attributes;
  node.attributes.Set("relu", int64_t{relu});
  node.inputs = source.inputs;
  if (residual.valid()) {
    node.inputs.resize(kResidual);
    node.inputs.push_back(residual);
  }
  return InferTypes(graph, id);
}

struct ApplyAndResidual {
  NodeId apply;  // Invalid: the sum has no operand to fuse.
  ValueId residual;
};

// Which operand of `sum`, an Add, is a batch normalization that can take in the other:
// the one made last, so that the other is there.
ApplyAndResidual SplitSum(const Graph& graph, const ValueReaders& readers, const Node& sum) {
  const Value& a = graph.value(sum.inputs[0]);
  const Value& b = graph.value(sum.inputs[1]);
  if (sum.inputs[0] == sum.inputs[1] || a.shape != b.shape || a.dtype != b.dtype) return {};
  ApplyAndResidual best;
  for (size_t i = 0; i < 2; ++i) {
    if (!IsApplyToFuse(graph, readers, sum.inputs[i])) continue;
    const NodeId producer = graph.value(sum.inputs[i]).producer;
    if (!best.apply.valid() || best.apply < producer) best = {producer, sum.inputs[1 - i]};
  }
  return best;
}

Result<bool> FuseRelu(Graph& graph, const ValueReaders& readers, NodeId id) {
  const ValueId x = graph.node(id).inputs[0];
  const NodeId producer = graph.value(x).producer;
  if (!producer.valid() || !readers.HasOneUse(x)) return false;
  const Node& before = graph.node(producer);
  if (before.op == kApply && before.attributes.Int("relu", 0) == 0) {
    WSI_RETURN_IF_ERROR(BecomeApply(graph, id, producer, ValueId{}, true));
    return true;
  }
  if (before.op != "Add") return false;
  const ApplyAndResidual found = SplitSum(graph, readers, before);
  if (!found.apply.valid()) return false;
  WSI_RETURN_IF_ERROR(BecomeApply(graph, id, found.apply, found.residual, true));
  return true;
}

// Who reads the result of a ReluGrad, by what they can do about it.
struct ReluGradReaders {
  std::vector<NodeId> stats;
  std::vector<NodeId> apply;
  std::vector<NodeId> frozen;
  bool others = false;
};

ReluGradReaders ClassifyReaders(const Graph& graph, const ValueReaders& readers, ValueId dz) {
  ReluGradReaders found;
  found.others = readers.IsResult(dz);
  for (const Use& use : readers.uses(dz)) {
    const Node& node = graph.node(use.node);
    const bool can_fuse = use.input == 0 && node.attributes.Int("relu", 0) == 0;
    if (can_fuse && node.op == kGradStats) {
      found.stats.push_back(use.node);
    } else if (can_fuse && node.op == kGradApply) {
      found.apply.push_back(use.node);
    } else if (can_fuse && node.op == kGradFrozen) {
      found.frozen.push_back(use.node);
    } else {
      found.others = true;
    }
  }
  return found;
}

// The gradient reads dy and y and applies the ReLU's gradient itself.
Status TakeInReluGrad(Graph& graph, NodeId id, ValueId dy, ValueId y) {
  Node& node = graph.node(id);
  const size_t operand = ActivationOperand(node.op);
  node.inputs[0] = dy;
  node.inputs.resize(operand);
  node.inputs.push_back(y);
  node.attributes.Set("relu", int64_t{1});
  return InferTypes(graph, id);
}

// ReluGrad `id` becomes the statistics `stats`, which make its result beside their own.
Status BecomeGradStats(Graph& graph, NodeId id, NodeId stats) {
  Node& node = graph.node(id);
  const ValueId dy = node.inputs[0];
  const ValueId y = node.inputs[1];
  const ValueId dz = node.outputs[0];
  Node& source = graph.node(stats);
  node.name = source.name;
  node.op = source.op;
  node.attributes = source.attributes;
  node.inputs = source.inputs;
  node.outputs = {source.outputs[0], source.outputs[1], dz};
  source.outputs.clear();
  for (size_t i = 0; i < 2; ++i) {
    if (node.outputs[i].valid()) graph.value(node.outputs[i]).producer = id;
  }
  return TakeInReluGrad(graph, id, dy, y);
}

Result<bool> FuseReluGrad(Graph& graph, const ValueReaders& readers, NodeId id) {
  const ValueId dy = graph.node(id).inputs[0];
  const ValueId y = graph.node(id).inputs[1];
  const ValueId dz = graph.node(id).outputs[0];
  const ReluGradReaders found = ClassifyReaders(graph, readers, dz);
  const bool all_alone = !found.others && found.stats.size() <= 1 && found.apply.size() <= 1;
  if (all_alone) {
    for (const auto* nodes : {&found.stats, &found.apply, &found.frozen}) {
      for (const NodeId reader : *nodes) WSI_RETURN_IF_ERROR(TakeInReluGrad(graph, reader, dy, y));
    }
    return true;
  }
  if (found.stats.empty()) return false;
  WSI_RETURN_IF_ERROR(BecomeGradStats(graph, id, found.stats[0]));
  return true;
}

// Whether the two normalize alike: x, mean and var, of `gradient` from operand `moments` on,
// and epsilon.
bool NormalizesAlike(const Node& gradient, size_t moments, const Node& apply) {
  return gradient.inputs[1] == apply.inputs[0] && gradient.inputs[moments] == apply.inputs[3] &&
         gradient.inputs[moments + 1] == apply.inputs[4] &&
         gradient.attributes.Float("epsilon", 0) == apply.attributes.Float("epsilon", 0);
}

// Gradient `id` makes out from x where y > 0, if that says all of y.
Result<bool> MaskFromX(Graph& graph, NodeId id) {
  Node& node = graph.node(id);
  const bool stats = node.op == kGradStats;
  if ((!stats && node.op != kGradApply) || node.attributes.Int("relu", 0) == 0) return false;
  const size_t operand = ActivationOperand(node.op);
  if (node.inputs.size() <= operand || !node.inputs[operand].valid()) return false;
  const NodeId producer = graph.value(node.inputs[operand]).producer;
  if (!producer.valid()) return false;
  const Node& apply = graph.node(producer);
  if (apply.op != kApply || apply.attributes.Int("relu", 0) == 0 ||
      OpView(graph, producer).HasInput(kResidual) || !NormalizesAlike(node, stats ? 2 : 3, apply) ||
      (!stats && node.inputs[2] != apply.inputs[1])) {
    return false;
  }
  node.inputs[operand] = ValueId{};
  node.inputs.resize(std::max(node.inputs.size(), operand + (stats ? 3 : 2)));
  if (stats) node.inputs[operand + 1] = apply.inputs[1];
  node.inputs[operand + (stats ? 2 : 1)] = apply.inputs[2];
  WSI_RETURN_IF_ERROR(InferTypes(graph, id));
  return true;
}

// Statistics `id` that store dz add up its two summands themselves.
Result<bool> TakeInSum(Graph& graph, const ValueReaders& readers, NodeId id) {
  Node& node = graph.node(id);
  if (node.op != kGradStats || !OpView(graph, id).HasOutput(2)) return false;
  const ValueId dy = node.inputs[0];
  const NodeId producer = graph.value(dy).producer;
  if (!producer.valid() || !readers.HasOneUse(dy) || node.inputs.size() > kAddend) return false;
  const Node& sum = graph.node(producer);
  if (sum.op != "Add" || sum.inputs[0] == sum.inputs[1]) return false;
  for (const ValueId summand : sum.inputs) {
    if (graph.value(summand).shape != graph.value(dy).shape) return false;
  }
  node.inputs.resize(kAddend);
  node.inputs.push_back(sum.inputs[1]);
  node.inputs[0] = sum.inputs[0];
  WSI_RETURN_IF_ERROR(InferTypes(graph, id));
  return true;
}

}  // namespace

Result<bool> SplitBatchNormTrain(Graph& graph) {
  OrderBuilder builder(graph);
  bool changed = false;
  for (const NodeId id : builder.old_order()) {
    builder.Keep(id);
    if (graph.node(id).op != "BatchNormTrain") continue;
    changed = true;
    const Node train = graph.node(id);
    const ValueId y = train.outputs[0];
    Node apply = MakeNode(
        kApply, train.name,
        {train.inputs[0], train.inputs[1], train.inputs[2], train.outputs[1], train.outputs[2]},
        train.attributes, train.phase);
    apply.attributes.Set("relu", int64_t{0});
    Node& stats = graph.node(id);
    stats.name = train.name + ".stats";
    stats.op = "BatchNormStats";
    stats.attributes.Erase("epsilon");
    stats.inputs.resize(1);
    stats.outputs = {train.outputs[1], train.outputs[2]};
    WSI_RETURN_IF_ERROR(InferTypes(graph, id));
    const NodeId apply_id = graph.AddNode(std::move(apply), {});
    graph.node(apply_id).outputs = {y};
    graph.value(y).producer = apply_id;
    WSI_RETURN_IF_ERROR(InferTypes(graph, apply_id));
    builder.Keep(apply_id);
  }
  builder.Finish();
  if (changed) graph.Compact();
  return changed;
}

Result<bool> FuseIntoBatchNormApply(Graph& graph) {
  bool changed = false;
  const ValueReaders before(graph);
  for (const NodeId id : graph.order()) {
    if (graph.node(id).op != "Relu") continue;
    WSI_ASSIGN_OR_RETURN(const bool fused, FuseRelu(graph, before, id));
    changed |= fused;
  }
  if (changed) RemoveDeadCode(graph);
  const ValueReaders after(graph);
  for (const NodeId id : graph.order()) {
    if (graph.node(id).op != "Add" || graph.node(id).phase != Phase::kForward) continue;
    const ApplyAndResidual found = SplitSum(graph, after, graph.node(id));
    if (!found.apply.valid()) continue;
    WSI_RETURN_IF_ERROR(BecomeApply(graph, id, found.apply, found.residual, false));
    changed = true;
  }
  return changed;
}

Result<bool> FuseReluGrads(Graph& graph) {
  bool changed = false;
  const ValueReaders readers(graph);
  for (const NodeId id : graph.order()) {
    if (graph.node(id).op != "ReluGrad") continue;
    WSI_ASSIGN_OR_RETURN(const bool fused, FuseReluGrad(graph, readers, id));
    changed |= fused;
  }
  return changed;
}

Result<bool> ReadLessInGrads(Graph& graph) {
  bool changed = false;
  const ValueReaders readers(graph);
  for (const NodeId id : graph.order()) {
    WSI_ASSIGN_OR_RETURN(const bool from_x, MaskFromX(graph, id));
    WSI_ASSIGN_OR_RETURN(const bool sum, TakeInSum(graph, readers, id));
    changed |= from_x || sum;
  }
  return changed;
}

}  // namespace wsi
