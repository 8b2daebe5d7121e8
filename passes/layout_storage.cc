#include "passes/layout_storage.h"

#include <algorithm>
#include <optional>

#include "compiler/ops/op_def.h"
#include "passes/layout_forms.h"

namespace wsi {
namespace {

void Permute(Value& value, std::span<const int64_t> perm) {
  std::vector<int64_t> permutation;
  for (const int64_t axis : perm) {
    permutation.push_back(value.permutation.empty() ? axis
                                                    : value.permutation[static_cast<size_t>(axis)]);
  }
  value.shape = PermuteShape(value.shape, perm);
  value.permutation =
      std::is_sorted(permutation.begin(), permutation.end()) ? std::vector<int64_t>{} : permutation;
}

// Walks from an input along operators that follow their operands' layout.
class SpatialUseFinder {
 public:
  explicit SpatialUseFinder(const Graph& graph)
      : graph_(graph),
        uses_(ComputeUses(graph)),
        seen_(static_cast<size_t>(graph.value_count()), false) {}

  bool Feeds(ValueId id) {
    std::vector<ValueId> pending = {id};
    const int rank = graph_.value(id).shape.rank();
    while (!pending.empty()) {
      const auto at = static_cast<size_t>(pending.back().index);
      pending.pop_back();
      if (seen_[at]) continue;
      seen_[at] = true;
      for (const Use& use : uses_[at]) {
        const Node& node = graph_.node(use.node);
        const OpDef* def = FindOp(node.op);
        if (def == nullptr || def->layout == LayoutRule::kFixed || node.op == "Transpose") continue;
        if (def->layout == LayoutRule::kChannelsLast) {
          if (use.input != def->layout_weight) return true;
          continue;
        }
        for (const ValueId output : node.outputs) {
          if (output.valid() && graph_.value(output).shape.rank() == rank)
            pending.push_back(output);
        }
      }
    }
    return false;
  }

 private:
  const Graph& graph_;
  const std::vector<std::vector<Use>> uses_;
  std::vector<bool> seen_;
};

// The transposition through which alone a value is read, if there is one.
std::optional<std::vector<int64_t>> OnlyTransposition(const Graph& graph,
                                                      const std::vector<Use>& uses) {
  std::optional<std::vector<int64_t>> perm;
  for (const Use& use : uses) {
    const Node& node = graph.node(use.node);
    if (node.op != "Transpose") return std::nullopt;
    std::vector<int64_t> found = node.attributes.Ints("perm");
    if (perm && *perm != found) return std::nullopt;
    const ValueId output = node.outputs[0];
    if (std::find(graph.outputs.begin(), graph.outputs.end(), output) != graph.outputs.end()) {
      return std::nullopt;
    }
    perm = std::move(found);
  }
  return perm;
}

// Whether something besides nodes names the value.
bool IsNamed(const Graph& graph, ValueId id) {
  const auto names = [&](const auto& pair) { return pair.state == id || pair.value == id; };
  return std::find(graph.outputs.begin(), graph.outputs.end(), id) != graph.outputs.end() ||
         std::any_of(graph.updates.begin(), graph.updates.end(), names) || !graph.gradients.empty();
}

}  // namespace

std::vector<ValueId> StoreInputsChannelsLast(Graph& graph) {
  std::vector<ValueId> turned;
  for (int32_t i = 0; i < graph.value_count(); ++i) {
    const ValueId id{i};
    const Value& value = graph.value(id);
    if (value.role == Role::kInput && value.shape.rank() >= 3 &&
        SpatialUseFinder(graph).Feeds(id)) {
      turned.push_back(id);
    }
  }
  for (const ValueId id : turned) {
    Permute(graph.value(id), ToChannelsLast(graph.value(id).shape.rank()));
  }
  return turned;
}

bool FoldTransposesIntoPersistents(Graph& graph) {
  const std::vector<std::vector<Use>> uses = ComputeUses(graph);
  std::vector<bool> folded(static_cast<size_t>(graph.node_count()), false);
  bool changed = false;
  for (int32_t i = 0; i < static_cast<int32_t>(uses.size()); ++i) {
    const ValueId id{i};
    const auto& readers = uses[static_cast<size_t>(i)];
    if (!IsPersistent(graph.value(id).role) || readers.empty() || IsNamed(graph, id)) continue;
    const auto perm = OnlyTransposition(graph, readers);
    if (!perm) continue;
    Permute(graph.value(id), *perm);
    for (const Use& use : readers) {
      graph.ReplaceUses(graph.node(use.node).outputs[0], id);
      folded[static_cast<size_t>(use.node.index)] = true;
    }
    changed = true;
  }
  if (!changed) return false;
  std::vector<NodeId> order = graph.order();
  std::erase_if(order, [&](NodeId id) { return folded[static_cast<size_t>(id.index)]; });
  graph.SetOrder(std::move(order));
  return true;
}

Status TransposesToViews(Graph& graph) {
  for (const NodeId id : graph.order()) {
    Node& node = graph.node(id);
    if (node.op != "Transpose") continue;
    const Value& input = graph.value(node.inputs[0]);
    if (!MovesOnlyUnitAxes(input.shape, node.attributes.Ints("perm"))) continue;
    const Shape& shape = graph.value(node.outputs[0]).shape;
    node.op = "Reshape";
    node.attributes = {{"shape", std::vector<int64_t>(shape.begin(), shape.end())}};
    WSI_RETURN_IF_ERROR(InferTypes(graph, id));
  }
  return {};
}

}  // namespace wsi
