#include "passes/simplify_rules.h"

#include <algorithm>
#include <numeric>

#include "compiler/ops/op_def.h"
#include "passes/layout.h"
#include "passes/order_builder.h"
#include "passes/replace_value.h"

namespace wsi {
namespace {

enum class Outcome : uint8_t { kNone, kRemoved, kRewritten };

struct Rewriter {
  Graph& graph;
  OrderBuilder& builder;
  bool inference;
  bool channels_last;  // The layout pass has run.
};

using Rule = Result<Outcome> (*)(Rewriter&, NodeId);

// Takes the node out in favour of its operand `input`, if that has the same type.
Outcome Forward(Rewriter& r, NodeId id, size_t input) {
  const Node& node = r.graph.node(id);
  const ValueId from = node.outputs[0];
  const ValueId to = node.inputs[input];
  const Value& a = r.graph.value(from);
  const Value& b = r.graph.value(to);
  if (a.dtype != b.dtype || a.shape != b.shape) return Outcome::kNone;
  if (!CanReplaceValue(r.graph, from, to)) return Outcome::kNone;
  ReplaceValue(r.graph, from, to);
  return Outcome::kRemoved;
}

// The node that makes operand `input` if it is an `op`, else null.
const Node* ProducerOf(const Graph& graph, const Node& node, size_t input, std::string_view op) {
  const NodeId producer = graph.value(node.inputs[input]).producer;
  if (!producer.valid() || graph.node(producer).op != op) return nullptr;
  return &graph.node(producer);
}

// Whether operand `input` is a constant that holds `number` everywhere.
bool IsConstant(const Graph& graph, const Node& node, size_t input, double number) {
  constexpr int64_t kLargestChecked = 1 << 16;
  if (input >= node.inputs.size() || !node.inputs[input].valid()) return false;
  const Tensor* tensor = graph.ConstantTensor(node.inputs[input]);
  if (tensor == nullptr || tensor->shape().ElementCount() > kLargestChecked) return false;
  const std::vector<double> values = tensor->ToDoubles();
  return std::all_of(values.begin(), values.end(), [&](double v) { return v == number; });
}

// Identity; Cast, CastLike and Expand to the type that is there already; Pad by nothing.
Result<Outcome> ForwardIfSame(Rewriter& r, NodeId id) { return Forward(r, id, 0); }

Result<Outcome> DropDropout(Rewriter& r, NodeId id) {
  const Node& node = r.graph.node(id);
  const bool has_mask = node.outputs.size() > 1 && node.outputs[1].valid();
  if (has_mask || (!r.inference && node.attributes.Float("ratio", 0.5) != 0)) {
    return Outcome::kNone;
  }
  const Outcome outcome = Forward(r, id, 0);
  if (outcome != Outcome::kNone) return outcome;
  Node& kept = r.graph.node(id);  // Between an input and an output of the model.
  kept.op = "Identity";
  kept.attributes = {};
  kept.inputs.resize(1);
  return Outcome::kRewritten;
}

// x + 0, x - 0, x * 1, x / 1, x ^ 1, with the constant on either side where the
// operator commutes.
Result<Outcome> DropNeutralOperand(Rewriter& r, NodeId id) {
  const Node& node = r.graph.node(id);
  const bool commutes = node.op == "Add" || node.op == "Mul";
  const double neutral = node.op == "Add" || node.op == "Sub" ? 0 : 1;
  if (IsConstant(r.graph, node, 1, neutral)) return Forward(r, id, 0);
  if (commutes && IsConstant(r.graph, node, 0, neutral)) return Forward(r, id, 1);
  return Outcome::kNone;
}

Result<Outcome> DropZeroBias(Rewriter& r, NodeId id) {
  Node& node = r.graph.node(id);
  if (!IsConstant(r.graph, node, 2, 0)) return Outcome::kNone;
  node.inputs.resize(2);
  return Outcome::kRewritten;
}

// Only the last of a chain of Reshapes matters.
Result<Outcome> MergeReshapes(Rewriter& r, NodeId id) {
  const Outcome forwarded = Forward(r, id, 0);
  if (forwarded != Outcome::kNone) return forwarded;
  const Node* inner = ProducerOf(r.graph, r.graph.node(id), 0, "Reshape");
  if (inner == nullptr) return Outcome::kNone;
  const ValueId source = inner->inputs[0];
  r.graph.node(id).inputs[0] = source;
  return Outcome::kRewritten;
}

// Transpose of a Transpose: axis i is axis inner[outer[i]] of the source.
Result<Outcome> MergeTransposes(Rewriter& r, NodeId id) {
  const std::vector<int64_t> outer = r.graph.node(id).attributes.Ints("perm");
  if (std::is_sorted(outer.begin(), outer.end())) return Forward(r, id, 0);
  const Node* producer = ProducerOf(r.graph, r.graph.node(id), 0, "Transpose");
  if (producer == nullptr) return Outcome::kNone;
  const std::vector<int64_t> inner = producer->attributes.Ints("perm");
  const ValueId source = producer->inputs[0];
  std::vector<int64_t> merged;
  merged.reserve(outer.size());
  for (const int64_t axis : outer) merged.push_back(inner[static_cast<size_t>(axis)]);
  Node& node = r.graph.node(id);
  node.inputs[0] = source;
  node.attributes.Set("perm", merged);
  return Outcome::kRewritten;
}

Result<Outcome> DropSingleConcat(Rewriter& r, NodeId id) {
  return r.graph.node(id).inputs.size() == 1 ? Forward(r, id, 0) : Outcome::kNone;
}

// Only a whole slice with positive steps keeps the shape; a reversed one does too.
Result<Outcome> DropWholeSlice(Rewriter& r, NodeId id) {
  for (const int64_t step : r.graph.node(id).attributes.Ints("steps")) {
    if (step != 1) return Outcome::kNone;
  }
  return Forward(r, id, 0);
}

// Whether axes 2 and up of a value are spatial. At rank 3 they need not be (batch,
// token, feature), so a spatial operator must have made it, up to elementwise ones.
bool IsSpatial(const Graph& graph, ValueId id) {
  if (graph.value(id).shape.rank() >= 4) return true;
  if (graph.value(id).shape.rank() < 3) return false;
  while (graph.value(id).producer.valid()) {
    const Node& node = graph.node(graph.value(id).producer);
    const OpDef* def = FindOp(node.op);
    if (def != nullptr && def->layout == LayoutRule::kChannelsLast) return true;
    if (node.op == "BatchNormalization") return true;
    if (def == nullptr || def->layout != LayoutRule::kAny || node.inputs.empty()) return false;
    id = node.inputs[0];
  }
  return false;
}

Result<Outcome> RecogniseGlobalAveragePool(Rewriter& r, NodeId id) {
  const Node& node = r.graph.node(id);
  const ValueId x = node.inputs[0];
  if (r.channels_last || !IsSpatial(r.graph, x)) return Outcome::kNone;
  std::vector<int64_t> spatial(static_cast<size_t>(r.graph.value(x).shape.rank() - 2));
  std::iota(spatial.begin(), spatial.end(), 2);
  std::vector<int64_t> axes = node.attributes.Ints("axes");
  std::sort(axes.begin(), axes.end());
  if (axes != spatial) return Outcome::kNone;
  const bool keeps_axes = node.attributes.Int("keepdims", 1) != 0;
  if (keeps_axes) {
    r.graph.node(id).op = "GlobalAveragePool";
    r.graph.node(id).attributes = {};
    return Outcome::kRewritten;
  }
  const std::string output = r.graph.value(node.outputs[0]).name;
  const Shape shape = r.graph.value(node.outputs[0]).shape;
  Node pool = MakeNode("GlobalAveragePool", node.name, {x}, {}, node.phase);
  WSI_ASSIGN_OR_RETURN(const ValueId pooled, r.builder.Add(std::move(pool), output + ".pool"));
  Node& reshape = r.graph.node(id);
  reshape.op = "Reshape";
  reshape.attributes = {{"shape", std::vector<int64_t>(shape.begin(), shape.end())}};
  reshape.inputs = {pooled};
  return Outcome::kRewritten;
}

// Whether `perm` swaps the last two axes and nothing else.
bool SwapsMatrixAxes(const std::vector<int64_t>& perm) {
  const size_t rank = perm.size();
  if (rank < 2) return false;
  for (size_t i = 0; i + 2 < rank; ++i) {
    if (perm[i] != static_cast<int64_t>(i)) return false;
  }
  return perm[rank - 1] == static_cast<int64_t>(rank - 2);
}

// The Transpose of an activation's matrix axes that makes operand `input`, or null. What
// persists is stored transposed instead (passes/layout_storage.h).
const Node* MatrixTransposeOf(const Graph& graph, const Node& node, size_t input) {
  const Node* transpose = ProducerOf(graph, node, input, "Transpose");
  if (transpose == nullptr || !SwapsMatrixAxes(transpose->attributes.Ints("perm"))) return nullptr;
  return IsPersistent(graph.value(transpose->inputs[0]).role) ? nullptr : transpose;
}

// A product reads its operands either way round.
Result<Outcome> AbsorbTransposes(Rewriter& r, NodeId id) {
  Node& node = r.graph.node(id);
  Outcome outcome = Outcome::kNone;
  for (size_t i = 0; i < 2; ++i) {
    const Node* transpose = MatrixTransposeOf(r.graph, node, i);
    if (transpose == nullptr) continue;
    const std::string_view flag = i == 0 ? "transA" : "transB";
    node.attributes.Set(flag, int64_t{node.attributes.Int(flag, 0) == 0});
    node.inputs[i] = transpose->inputs[0];
    outcome = Outcome::kRewritten;
  }
  return outcome;
}

// transpose(x) * number -> transpose(x * number), on its way to a product.
Result<Outcome> ScaleBeforeTranspose(Rewriter& r, NodeId id) {
  const Node node = r.graph.node(id);
  for (size_t i = 0; i < 2; ++i) {
    const Node* transpose = MatrixTransposeOf(r.graph, node, i);
    if (transpose == nullptr) continue;
    const Value& number = r.graph.value(node.inputs[1 - i]);
    if (number.shape.ElementCount() != 1) continue;
    if (number.shape.rank() > r.graph.value(node.inputs[i]).shape.rank()) continue;
    Attributes attributes = transpose->attributes;
    Node scale = MakeNode(node.op, node.name, node.inputs, node.attributes, node.phase);
    scale.inputs[i] = transpose->inputs[0];
    const std::string output = r.graph.value(node.outputs[0]).name;
    WSI_ASSIGN_OR_RETURN(const ValueId scaled, r.builder.Add(std::move(scale), output + ".before"));
    Node& moved = r.graph.node(id);
    moved.op = "Transpose";
    moved.attributes = std::move(attributes);
    moved.inputs = {scaled};
    return Outcome::kRewritten;
  }
  return Outcome::kNone;
}

Result<Outcome> SimplifyProduct(Rewriter& r, NodeId id) {
  WSI_ASSIGN_OR_RETURN(const Outcome dropped, DropNeutralOperand(r, id));
  return dropped == Outcome::kNone ? ScaleBeforeTranspose(r, id) : dropped;
}

// x ^ 1 -> x, x ^ 2 -> x * x.
Result<Outcome> SimplifyPower(Rewriter& r, NodeId id) {
  Node& node = r.graph.node(id);
  const Value& exponent = r.graph.value(node.inputs[1]);
  const bool is_number = exponent.shape.ElementCount() == 1 &&
                         exponent.shape.rank() <= r.graph.value(node.inputs[0]).shape.rank();
  if (!is_number || !IsConstant(r.graph, node, 1, 2)) return DropNeutralOperand(r, id);
  node.op = "Mul";
  node.inputs[1] = node.inputs[0];
  return Outcome::kRewritten;
}

struct RuleEntry {
  std::string_view op;
  Rule rule;
};
constexpr RuleEntry kRules[] = {
    {"Add", DropNeutralOperand}, {"Cast", ForwardIfSame},
    {"CastLike", ForwardIfSame}, {"Concat", DropSingleConcat},
    {"Conv", DropZeroBias},      {"Div", SimplifyProduct},
    {"Dropout", DropDropout},    {"Expand", ForwardIfSame},
    {"Identity", ForwardIfSame}, {"MatMul", AbsorbTransposes},
    {"Mul", SimplifyProduct},    {"Pad", ForwardIfSame},
    {"Pow", SimplifyPower},      {"ReduceMean", RecogniseGlobalAveragePool},
    {"Reshape", MergeReshapes},  {"Slice", DropWholeSlice},
    {"Sub", DropNeutralOperand}, {"Transpose", MergeTransposes},
};
constexpr RuleEntry kViewRules[] = {{"Reshape", MergeReshapes}, {"Transpose", MergeTransposes}};

Result<bool> Sweep(Graph& graph, std::span<const RuleEntry> rules, bool inference) {
  OrderBuilder builder(graph);
  Rewriter rewriter{graph, builder, inference, IsChannelsLast(graph)};
  bool changed = false;
  for (const NodeId id : builder.old_order()) {
    Outcome outcome = Outcome::kNone;
    for (const RuleEntry& entry : rules) {
      if (entry.op != graph.node(id).op) continue;
      WSI_ASSIGN_OR_RETURN(outcome, entry.rule(rewriter, id));
      break;
    }
    changed |= outcome != Outcome::kNone;
    if (outcome != Outcome::kRemoved) builder.Keep(id);
    if (outcome == Outcome::kRewritten) WSI_RETURN_IF_ERROR(InferTypes(graph, id));
  }
  builder.Finish();
  return changed;
}

}  // namespace

Result<bool> ApplySimplifyRules(Graph& graph, bool inference) {
  return Sweep(graph, kRules, inference);
}
Result<bool> MergeViews(Graph& graph) { return Sweep(graph, kViewRules, false); }

}  // namespace wsi
