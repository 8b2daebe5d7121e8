#include "passes/precision.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

#include "compiler/ops/op_def.h"
#include "passes/dead_code.h"
#include "passes/order_builder.h"
#include "passes/precision_demand.h"
#include "passes/shared_tensors.h"
#include "passes/value_readers.h"

namespace wsi {
namespace {

// What a floating-point value asks of an operator that reads it.
enum class Weight : uint8_t {
  kNone,  // Nothing: parameters, scalars, what is computed from them.
  kFull,  // An fp32 result: fp32, but in a matrix product.
  kHalf,  // A half activation: half.
};

// Whether every `from` is exact as a `to`.
bool IsExact(DType from, DType to) {
  if (from == to) return true;
  const bool is_half = from == DType::kF16 || from == DType::kBF16;
  const bool is_byte = !IsFloat(from) && DTypeBytes(from) == 1;
  return (is_half && to == DType::kF32) || (is_byte && IsFloat(to));
}

class PrecisionPass {
 public:
  PrecisionPass(Graph& graph, DType half)
      : graph_(graph),
        half_(half),
        demand_(ComputePrecisionDemand(graph)),
        weights_(static_cast<size_t>(graph.value_count()), Weight::kNone),
        readers_(graph),
        builder_(graph) {}

  Status Run() {
    WSI_RETURN_IF_ERROR(CheckTypes());
    ChooseInputs();
    for (const NodeId id : builder_.old_order()) WSI_RETURN_IF_ERROR(Visit(id));
    NameResults();
    builder_.Finish();
    RemoveDeadCode(graph_);
    graph_.Compact();
    return {};
  }

 private:
  using CastKey = std::tuple<ValueId, DType, bool>;  // The last: behind the forward phase.

  Status CheckTypes() const;
  void ChooseInputs();
  bool RunsInHalf(const Node& node, const OpDef& def) const;
  Status Visit(NodeId id);
  Status WidenResult(ValueId id, Phase phase);
  void NameResults();
  Result<ValueId> As(ValueId id, DType wanted, Phase phase);
  Result<ValueId> NarrowConstant(ValueId id, DType wanted);
  ValueId Origin(ValueId id) const;

  Weight weight(ValueId id) const {
    const auto i = static_cast<size_t>(id.index);
    return i < weights_.size() ? weights_[i] : Weight::kNone;
  }
  bool IsFloatValue(ValueId id) const { return id.valid() && IsFloat(graph_.value(id).dtype); }

  Graph& graph_;
  DType half_;
  PrecisionDemand demand_;
  std::vector<Weight> weights_;  // By value; of those that were there before.
  ValueReaders readers_;         // Of the graph as it was.
  OrderBuilder builder_;
  std::map<CastKey, ValueId> casts_;
  std::map<ValueId, ValueId> results_;  // The f32 of results that are half.
};

Status PrecisionPass::CheckTypes() const {
  for (int32_t i = 0; i < graph_.value_count(); ++i) {
    const Value& value = graph_.value(ValueId{i});
    if (value.dtype != DType::kF64) continue;
    return InvalidInput(
        fmt::format("%{} is f64; half precision is made of f32, wanted another --device than "
                    "reference",
                    value.name));
  }
  return {};
}

void PrecisionPass::ChooseInputs() {
  for (int32_t i = 0; i < graph_.value_count(); ++i) {
    const ValueId id{i};
    Value& value = graph_.value(id);
    if (!IsFloat(value.dtype)) continue;
    if (value.role == Role::kTarget) weights_[static_cast<size_t>(i)] = Weight::kFull;
    if (value.role != Role::kInput) continue;
    const bool half = demand_.wants_half[static_cast<size_t>(i)];
    weights_[static_cast<size_t>(i)] = half ? Weight::kHalf : Weight::kFull;
    if (demand_.OnlyHalf(id)) value.dtype = half_;
  }
}

bool PrecisionPass::RunsInHalf(const Node& node, const OpDef& def) const {
  if (ComputesInFloat32(node, def)) return false;
  bool any_full = false;
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    if (!IsFloatValue(node.inputs[i]) || IsFloat32Input(def, i)) continue;
    if (weight(node.inputs[i]) == Weight::kHalf) return true;
    any_full |= weight(node.inputs[i]) == Weight::kFull;
  }
  return any_full && def.is_matrix;
}

Status PrecisionPass::Visit(NodeId id) {
  const OpDef& def = *FindOp(graph_.node(id).op);
  const bool half = RunsInHalf(graph_.node(id), def);
  const Phase phase = graph_.node(id).phase;
  Weight heaviest = Weight::kNone;
  for (size_t i = 0; i < graph_.node(id).inputs.size(); ++i) {
    const ValueId input = graph_.node(id).inputs[i];
    if (!IsFloatValue(input)) continue;
    heaviest = std::max(heaviest, weight(input));
    const DType wanted = half && !IsFloat32Input(def, i) ? half_ : DType::kF32;
    WSI_ASSIGN_OR_RETURN(const ValueId converted, As(input, wanted, phase));
    graph_.node(id).inputs[i] = converted;
  }
  const std::vector<ValueId> outputs = graph_.node(id).outputs;
  if (half && def.half_sum && demand_.OnlyFloat32(outputs[0])) {
    graph_.node(id).attributes.Set("dtype", std::string(DTypeName(DType::kF32)));
  }
  WSI_RETURN_IF_ERROR(InferTypes(graph_, id));
  builder_.Keep(id);
  for (const ValueId output : outputs) {
    if (!IsFloatValue(output)) continue;
    const bool is_half = graph_.value(output).dtype == half_;
    weights_[static_cast<size_t>(output.index)] =
        is_half ? Weight::kHalf : std::min(heaviest, Weight::kFull);
    WSI_RETURN_IF_ERROR(WidenResult(output, phase));
  }
  return {};
}

// A result that came out as half is cast up where it is made, under its own name.
Status PrecisionPass::WidenResult(ValueId id, Phase phase) {
  if (!readers_.IsResult(id) || graph_.value(id).dtype == DType::kF32) return {};
  WSI_ASSIGN_OR_RETURN(results_[id], As(id, DType::kF32, phase));
  return {};
}

void PrecisionPass::NameResults() {
  const auto replace = [&](ValueId& id) {
    const auto found = results_.find(id);
    if (found != results_.end()) id = found->second;
  };
  for (ValueId& output : graph_.outputs) replace(output);
  replace(graph_.loss);
  for (StateUpdate& update : graph_.updates) replace(update.value);
  for (ParameterGradient& pair : graph_.gradients) replace(pair.gradient);
  for (const auto& [narrow, wide] : results_) {
    const std::string name = graph_.value(narrow).name;
    graph_.RenameValue(narrow, fmt::format("{}.{}", name, DTypeName(half_)));
    graph_.RenameValue(wide, name);
  }
}

// What `id` was cast from without loss, or itself.
ValueId PrecisionPass::Origin(ValueId id) const {
  while (true) {
    const NodeId producer = graph_.value(id).producer;
    if (!producer.valid() || graph_.node(producer).op != "Cast") return id;
    const ValueId from = graph_.node(producer).inputs[0];
    if (!IsExact(graph_.value(from).dtype, graph_.value(id).dtype)) return id;
    id = from;
  }
}

Result<ValueId> PrecisionPass::As(ValueId id, DType wanted, Phase phase) {
  if (graph_.value(id).dtype == wanted) return id;
  const ValueId origin = Origin(id);
  const DType from = graph_.value(origin).dtype;
  if (from == wanted) return origin;
  const bool is_up = wanted == DType::kF32;
  const CastKey key{origin, wanted, is_up && phase != Phase::kForward};
  if (const auto known = casts_.find(key); known != casts_.end()) return known->second;
  if (graph_.value(origin).role == Role::kConstant) {
    WSI_ASSIGN_OR_RETURN(casts_[key], NarrowConstant(origin, wanted));
    return casts_[key];
  }
  const std::string name = fmt::format("{}.{}", graph_.value(id).name, DTypeName(wanted));
  Node cast = MakeNode("Cast", name, {origin}, {{"to", std::string(DTypeName(wanted))}}, phase);
  WSI_ASSIGN_OR_RETURN(casts_[key], builder_.Add(std::move(cast), name));
  return casts_[key];
}

// A constant is stored as `wanted` beside what it was.
Result<ValueId> PrecisionPass::NarrowConstant(ValueId id, DType wanted) {
  Value value = graph_.value(id);
  value.name = fmt::format("{}.{}", value.name, DTypeName(wanted));
  value.dtype = wanted;
  if (const Tensor* tensor = graph_.tensors().Find(value.tensor); tensor != nullptr) {
    WSI_ASSIGN_OR_RETURN(Tensor narrow, tensor->Cast(wanted));
    value.tensor = StoreShared(
        graph_.tensors(), fmt::format("{}.{}", value.tensor, DTypeName(wanted)), std::move(narrow));
  }
  return graph_.AddValue(std::move(value));
}

}  // namespace

Result<bool> ReducePrecision(Graph& graph, const PrecisionOptions& options, PassContext&) {
  const uint64_t before = HashGraph(graph);
  WSI_RETURN_IF_ERROR(PrecisionPass(graph, options.half).Run());
  return HashGraph(graph) != before;
}

}  // namespace wsi
