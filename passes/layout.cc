#include "passes/layout.h"

#include <fmt/format.h>

#include <algorithm>

#include "compiler/ops/op_def.h"
#include "passes/dead_code.h"
#include "passes/layout_attributes.h"
#include "passes/layout_forms.h"
#include "passes/layout_storage.h"
#include "passes/order_builder.h"
#include "passes/simplify_rules.h"

namespace wsi {
namespace {

// Entry i is values[order[i]].
std::vector<int64_t> Permuted(const std::vector<int64_t>& values,
                              const std::vector<int64_t>& order) {
  std::vector<int64_t> result;
  result.reserve(order.size());
  for (const int64_t i : order) result.push_back(values[static_cast<size_t>(i)]);
  return result;
}

class LayoutRewriter {
 public:
  explicit LayoutRewriter(Graph& graph) : graph_(graph), builder_(graph), forms_(graph, builder_) {}

  Status Run() {
    for (const ValueId input : StoreInputsChannelsLast(graph_)) forms_.MarkLast(input);
    for (const NodeId id : builder_.old_order()) {
      WSI_RETURN_IF_ERROR(Rewrite(id));
      builder_.Keep(id);
      WSI_RETURN_IF_ERROR(InferTypes(graph_, id));
    }
    for (ValueId& output : graph_.outputs) WSI_RETURN_IF_ERROR(RestoreOutput(output));
    builder_.Finish();
    return {};
  }

 private:
  int RankOf(ValueId id) const { return id.valid() ? graph_.value(id).shape.rank() : 0; }

  Status Rewrite(NodeId id) {
    const Node& node = graph_.node(id);
    const OpDef* def = FindOp(node.op);
    WSI_CHECK(def != nullptr);
    switch (def->layout) {
      case LayoutRule::kChannelsLast: return Spatial(id);
      case LayoutRule::kAny: return Elementwise(id);
      case LayoutRule::kAxes: return node.op == "Transpose" ? Transposed(id) : WithAxes(id);
      case LayoutRule::kFixed: return node.op == "Reshape" ? Reshaped(id) : Fixed(id);
    }
    return {};
  }

  // Operand `i` of node `id` in the form asked for; nodes move while forms are made.
  Status SetForm(NodeId id, size_t i, bool last) {
    const ValueId input = graph_.node(id).inputs[i];
    WSI_ASSIGN_OR_RETURN(const ValueId form, last ? forms_.Last(input) : forms_.First(input));
    graph_.node(id).inputs[i] = form;
    return {};
  }

  // Outputs of rank `rank` are channels-last.
  void MarkOutputs(NodeId id, int rank) {
    for (const ValueId output : graph_.node(id).outputs) {
      if (output.valid() && rank >= 3 && RankOf(output) == rank) forms_.MarkLast(output);
    }
  }

  Status Spatial(NodeId id) {
    for (size_t i = 0; i < graph_.node(id).inputs.size(); ++i) {
      if (RankOf(graph_.node(id).inputs[i]) >= 3) WSI_RETURN_IF_ERROR(SetForm(id, i, true));
    }
    graph_.node(id).attributes.Set("channels_last", int64_t{1});
    MarkOutputs(id, RankOf(graph_.node(id).outputs[0]));
    return {};
  }

  Status Fixed(NodeId id) {
    for (size_t i = 0; i < graph_.node(id).inputs.size(); ++i) {
      if (graph_.node(id).inputs[i].valid()) WSI_RETURN_IF_ERROR(SetForm(id, i, false));
    }
    return {};
  }

  // Channels-last if an operand of the result's rank is.
  Status Elementwise(NodeId id) {
    const int rank = RankOf(graph_.node(id).outputs[0]);
    const std::vector<ValueId> inputs = graph_.node(id).inputs;
    const bool last = std::any_of(inputs.begin(), inputs.end(), [&](ValueId input) {
      return input.valid() && RankOf(input) == rank && forms_.IsLast(input);
    });
    if (!last) return Fixed(id);
    for (size_t i = 0; i < inputs.size(); ++i) {
      if (!inputs[i].valid()) continue;
      if (RankOf(inputs[i]) == rank) {
        WSI_RETURN_IF_ERROR(SetForm(id, i, true));
      } else if (graph_.value(inputs[i]).shape.ElementCount() != 1) {
        WSI_ASSIGN_OR_RETURN(const ValueId operand, forms_.LastOfRank(inputs[i], rank));
        graph_.node(id).inputs[i] = operand;
      }
    }
    MarkOutputs(id, rank);
    return {};
  }

  // Whether a reduction that drops its axes would leave the others in another order:
  // the channels stay, and a spatial axis with them.
  bool Reorders(const Node& node) const {
    if (!node.attributes.Has("keepdims") || node.attributes.Int("keepdims", 1) != 0) return false;
    const std::vector<int64_t> axes = node.attributes.Ints("axes");
    const auto drops = [&](int64_t axis) {
      return std::find(axes.begin(), axes.end(), axis) != axes.end();
    };
    if (drops(1)) return false;
    for (int64_t axis = 2; axis < RankOf(node.inputs[0]); ++axis) {
      if (!drops(axis)) return true;
    }
    return false;
  }

  Status WithAxes(NodeId id) {
    const std::vector<ValueId> inputs = graph_.node(id).inputs;
    const bool last = std::any_of(inputs.begin(), inputs.end(), [&](ValueId input) {
      return input.valid() && forms_.IsLast(input);
    });
    if (!last || Reorders(graph_.node(id))) return Fixed(id);
    const int rank = RankOf(inputs[0]);
    for (size_t i = 0; i < inputs.size(); ++i) {
      if (inputs[i].valid() && RankOf(inputs[i]) == rank) WSI_RETURN_IF_ERROR(SetForm(id, i, true));
    }
    RemapAxes(graph_.node(id).attributes, ToChannelsLast(rank));
    MarkOutputs(id, rank);
    return {};
  }

  // Output axis i is axis perm[i] of ONNX's order, which is found elsewhere now. The
  // result is channels-last where that costs nothing: an export that goes over to
  // channels last and back on its own meets no Transpose.
  Status Transposed(NodeId id) {
    Node& node = graph_.node(id);
    const int rank = RankOf(node.inputs[0]);
    std::vector<int64_t> perm = node.attributes.Ints("perm");
    if (forms_.IsLast(node.inputs[0])) {
      const std::vector<int64_t> place = ToChannelsFirst(rank);
      for (int64_t& axis : perm) axis = place[static_cast<size_t>(axis)];
    }
    const Shape& stored = graph_.value(node.inputs[0]).shape;
    if (rank >= 3 && !MovesOnlyUnitAxes(stored, perm)) {
      const std::vector<int64_t> last = Permuted(perm, ToChannelsLast(rank));
      if (MovesOnlyUnitAxes(stored, last)) {
        perm = last;
        MarkOutputs(id, rank);
      }
    }
    node.attributes.Set("perm", std::move(perm));
    return {};
  }

  // Stays channels-last where only spatial axes are merged or split.
  Status Reshaped(NodeId id) {
    Node& node = graph_.node(id);
    const std::vector<int64_t> sizes = node.attributes.Ints("shape");
    const auto rank = static_cast<int>(sizes.size());
    const Shape& from = graph_.value(node.inputs[0]).shape;
    const bool keeps_channels =
        forms_.IsLast(node.inputs[0]) && rank >= 3 && sizes[0] == from[0] && sizes[1] == from[-1];
    if (!keeps_channels) return Fixed(id);
    node.attributes.Set("shape", Permuted(sizes, ToChannelsLast(rank)));
    MarkOutputs(id, rank);
    return {};
  }

  // The form that ONNX's order asks for takes over the output's name.
  Status RestoreOutput(ValueId& output) {
    if (!forms_.IsLast(output)) return {};
    WSI_ASSIGN_OR_RETURN(const ValueId first, forms_.First(output));
    if (graph_.value(output).role == Role::kIntermediate) {
      const std::string name = graph_.value(output).name;
      graph_.RenameValue(output, name + ".channels_last");
      graph_.RenameValue(first, name);
    }
    output = first;
    return {};
  }

  Graph& graph_;
  OrderBuilder builder_;
  LayoutForms forms_;
};

}  // namespace

bool IsChannelsLast(const Graph& graph) {
  return std::any_of(graph.order().begin(), graph.order().end(), [&](NodeId id) {
    return graph.node(id).attributes.Int("channels_last", 0) != 0;
  });
}

Result<bool> MakeChannelsLast(Graph& graph, const LayoutOptions&, PassContext& context) {
  const auto is_spatial = [&](NodeId id) {
    const OpDef* def = FindOp(graph.node(id).op);
    return def != nullptr && def->layout == LayoutRule::kChannelsLast;
  };
  if (IsChannelsLast(graph)) return false;
  if (std::none_of(graph.order().begin(), graph.order().end(), is_spatial)) return false;
  WSI_RETURN_IF_ERROR(LayoutRewriter(graph).Run());
  FoldTransposesIntoPersistents(graph);
  WSI_RETURN_IF_ERROR(TransposesToViews(graph));
  for (bool again = true; again;) {
    WSI_ASSIGN_OR_RETURN(again, MergeViews(graph));
    again |= RemoveDeadCode(graph);
  }
  graph.Compact();
  const auto left = std::count_if(graph.order().begin(), graph.order().end(),
                                  [&](NodeId id) { return graph.node(id).op == "Transpose"; });
  context.Note(fmt::format("{} Transposes left", left));
  return true;
}

}  // namespace wsi
