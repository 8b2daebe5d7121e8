#include "passes/norm.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "compiler/ops/op_def.h"
#include "passes/order_builder.h"
#include "passes/scalar_inputs.h"

namespace wsi {
namespace {

class NormRewriter {
 public:
  NormRewriter(Graph& graph, const NormOptions& options)
      : graph_(graph), builder_(graph), options_(options) {}

  Result<bool> Run() {
    bool changed = false;
    for (const NodeId id : builder_.old_order()) {
      const std::string& op = graph_.node(id).op;
      if (op == "BatchNormalization") {
        WSI_RETURN_IF_ERROR(Rewrite(id));
        changed = true;
      } else {
        if (op == "Dropout" && !options_.inference) {
          WSI_ASSIGN_OR_RETURN(const bool seeded, SeedDropout(id));
          changed |= seeded;
        }
        builder_.Keep(id);
      }
    }
    WSI_RETURN_IF_ERROR(AddAverages());
    builder_.Finish();
    for (const auto& [state, value] : running_) graph_.updates.push_back({state, value});
    if (changed) graph_.Compact();
    return changed;
  }

  int total() const { return total_; }
  int frozen() const { return frozen_; }

 private:
  bool IsFrozen(const Node& node) const {
    if (options_.mode == NormMode::kAuto) return node.attributes.Int("training_mode", 0) == 0;
    return options_.mode == NormMode::kFrozen;
  }

  Status Rewrite(NodeId id) {
    const Node old = graph_.node(id);
    const bool frozen = IsFrozen(old);
    ++total_;
    frozen_ += frozen ? 1 : 0;
    for (size_t i = frozen ? 1 : 3; i < 5; ++i) {
      Value& value = graph_.value(old.inputs[i]);
      if (IsPersistent(value.role)) {
        value.role = frozen ? Role::kConstant : Role::kState;
      } else if (!frozen) {
        return InvalidInput(fmt::format(
            "BatchNormalization '{}': its running statistics '{}' are computed by the model, "
            "training keeps them in a weight; try --norm frozen",
            old.name, value.name));
      }
    }
    return frozen || options_.inference ? MakeApply(id, old) : MakeTrain(id, old);
  }

  Status MakeApply(NodeId id, const Node& old) {
    Node& node = graph_.node(id);
    node.op = "BatchNormApply";
    node.attributes = {{"epsilon", old.attributes.Float("epsilon", 1e-5)}, {"relu", int64_t{0}}};
    node.outputs.resize(1);
    for (size_t i = 1; i < old.outputs.size(); ++i) {
      if (old.outputs[i].valid()) graph_.ReplaceUses(old.outputs[i], old.inputs[i + 2]);
    }
    builder_.Keep(id);
    return InferTypes(graph_, id);
  }

  Status MakeTrain(NodeId id, const Node& old) {
    const std::string y = graph_.value(old.outputs[0]).name;
    Node& node = graph_.node(id);
    node.op = "BatchNormTrain";
    node.attributes = {{"epsilon", old.attributes.Float("epsilon", 1e-5)}};
    node.inputs.resize(3);
    node.outputs.resize(1);
    const ValueId batch[] = {graph_.AddOutput(id, 1, y + ".mean"),
                             graph_.AddOutput(id, 2, y + ".var")};
    builder_.Keep(id);
    WSI_RETURN_IF_ERROR(InferTypes(graph_, id));
    for (size_t i = 0; i < 2; ++i) {
      const ValueId state = old.inputs[3 + i];
      const ValueId replaced = i + 1 < old.outputs.size() ? old.outputs[i + 1] : ValueId{};
      averages_.push_back(
          {.node = MakeNode(
               "MovingAverage", fmt::format("{}.{}", old.name, graph_.value(state).name),
               {state, batch[i]}, {{"momentum", old.attributes.Float("momentum", 0.9)}}, old.phase),
           .replaced = replaced});
      if (replaced.valid() && IsRead(replaced)) WSI_RETURN_IF_ERROR(AddAverages());
    }
    return {};
  }

  bool IsRead(ValueId id) const {
    const auto reads = [&](NodeId node) {
      const std::vector<ValueId>& inputs = graph_.node(node).inputs;
      return std::find(inputs.begin(), inputs.end(), id) != inputs.end();
    };
    const std::vector<NodeId>& order = builder_.old_order();
    return std::any_of(order.begin(), order.end(), reads);
  }

  // A state that several nodes share is averaged once per node, in order.
  Status AddAverages() {
    for (auto& [node, replaced] : averages_) {
      const ValueId state = node.inputs[0];
      const auto [at, is_first] = running_.emplace(state, state);
      node.inputs[0] = at->second;
      WSI_ASSIGN_OR_RETURN(at->second,
                           builder_.Add(std::move(node), graph_.value(state).name + ".new"));
      if (replaced.valid()) graph_.ReplaceUses(replaced, at->second);
    }
    averages_.clear();
    return {};
  }

  Result<bool> SeedDropout(NodeId id) {
    if (graph_.node(id).inputs.size() >= 3) return false;
    WSI_ASSIGN_OR_RETURN(const ValueId seed, FindOrAddScalar(graph_, "seed", DType::kI64));
    WSI_ASSIGN_OR_RETURN(const ValueId step, FindOrAddScalar(graph_, "step", DType::kI64));
    Node& node = graph_.node(id);
    node.inputs.resize(1);
    node.inputs.insert(node.inputs.end(), {seed, step});
    if (!node.attributes.Has("seed_id")) node.attributes.Set("seed_id", int64_t{id.index});
    WSI_RETURN_IF_ERROR(InferTypes(graph_, id));
    return true;
  }

  Graph& graph_;
  // A node whose outputs are to be made, and the output of the old node that it stands for.
  struct Average {
    Node node;
    ValueId replaced;
  };

  OrderBuilder builder_;
  const NormOptions& options_;
  std::vector<Average> averages_;       // To come behind everything that does not read them.
  std::map<ValueId, ValueId> running_;  // Running statistics to their newest value.
  int total_ = 0;
  int frozen_ = 0;
};

}  // namespace

Result<bool> ResolveNorm(Graph& graph, const NormOptions& options, PassContext& context) {
  NormRewriter rewriter(graph, options);
  WSI_ASSIGN_OR_RETURN(const bool changed, rewriter.Run());
  if (options.mode == NormMode::kAuto && !options.inference && rewriter.frozen() > 0) {
    context.Note(fmt::format(
        "{} of {} BatchNormalization nodes are frozen, as their training_mode says; --norm train "
        "trains them",
        rewriter.frozen(), rewriter.total()));
  }
  return changed;
}

}  // namespace wsi
