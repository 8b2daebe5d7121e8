#include "passes/sync_norm.h"

#include <array>
#include <map>
#include <string>
#include <utility>

#include "compiler/ops/op_def.h"
#include "passes/order_builder.h"

namespace wsi {
namespace {

class NormSynchroniser {
 public:
  explicit NormSynchroniser(Graph& graph) : graph_(graph), builder_(graph) {}

  Result<bool> Run() {
    for (const NodeId id : builder_.old_order()) {
      const std::string op = graph_.node(id).op;
      if (op == "BatchNormGradApply") WSI_RETURN_IF_ERROR(ReduceSums(id));
      builder_.Keep(id);
      if (op == "BatchNormTrain") WSI_RETURN_IF_ERROR(Split(id));
    }
    if (norms_ == 0) {
      return InvalidInput(
          "no batch norm is in training mode, so there are no statistics to take over ranks; try "
          "--norm train, or leave --sync-norm out");
    }
    builder_.Finish();
    graph_.Compact();
    return true;
  }

 private:
  Result<ValueId> Emit(const char* op, const std::string& name, std::vector<ValueId> inputs,
                       Phase phase) {
    return builder_.Add(MakeNode(op, name, std::move(inputs), {}, phase), name);
  }

  // Adds a node that makes the value which another node made so far.
  Status Take(Node node, ValueId value) {
    const NodeId id = graph_.AddNode(std::move(node), {});
    graph_.node(id).outputs = {value};
    graph_.value(value).producer = id;
    builder_.Keep(id);
    return InferTypes(graph_, id);
  }

  // Whoever reads the statistics of the batch reads those of all ranks' batches from here on.
  Status Split(NodeId id) {
    ++norms_;
    const Node train = graph_.node(id);
    const std::string& name = train.name;
    const Phase phase = train.phase;
    const ValueId mean = train.outputs[1];
    const ValueId var = train.outputs[2];
    Node& stats = graph_.node(id);
    stats.name = name + ".stats";
    stats.op = "BatchNormStats";
    stats.attributes.Erase("epsilon");
    stats.inputs.resize(1);
    stats.outputs.clear();
    const ValueId own_mean = graph_.AddOutput(id, 0, graph_.value(mean).name + ".own");
    const ValueId own_var = graph_.AddOutput(id, 1, graph_.value(var).name + ".own");
    WSI_RETURN_IF_ERROR(InferTypes(graph_, id));

    WSI_RETURN_IF_ERROR(Take(MakeNode("AllReduce", name + ".mean", {own_mean}, {}, phase), mean));
    WSI_ASSIGN_OR_RETURN(const ValueId apart,
                         Emit("Sub", name + ".apart", {own_mean, mean}, phase));
    WSI_ASSIGN_OR_RETURN(const ValueId between,
                         Emit("Mul", name + ".between", {apart, apart}, phase));
    WSI_ASSIGN_OR_RETURN(const ValueId about_mean,
                         Emit("Add", name + ".about_mean", {own_var, between}, phase));
    WSI_RETURN_IF_ERROR(Take(MakeNode("AllReduce", name + ".var", {about_mean}, {}, phase), var));
    Node apply = MakeNode("BatchNormApply", name,
                          {train.inputs[0], train.inputs[1], train.inputs[2], mean, var},
                          train.attributes, phase);
    apply.attributes.Set("relu", int64_t{0});
    return Take(std::move(apply), train.outputs[0]);
  }

  // The sums that the input's gradient reads.
  Status ReduceSums(NodeId id) {
    constexpr size_t kSums = 5;
    const Node apply = graph_.node(id);
    const std::array names = {apply.name + ".scale_sum.all", apply.name + ".bias_sum.all"};
    WSI_ASSIGN_OR_RETURN(
        const NodeId reduced,
        builder_.Add(MakeNode("AllReduce", apply.name + ".sums.all",
                              {apply.inputs[kSums], apply.inputs[kSums + 1]}, {}, apply.phase),
                     names));
    for (size_t i = 0; i < names.size(); ++i) {
      graph_.node(id).inputs[kSums + i] = graph_.node(reduced).outputs[i];
    }
    return InferTypes(graph_, id);
  }

  Graph& graph_;
  OrderBuilder builder_;
  int norms_ = 0;
};

}  // namespace

Result<bool> SynchroniseNorm(Graph& graph, const SyncNormOptions&, PassContext&) {
  return NormSynchroniser(graph).Run();
}

}  // namespace wsi
