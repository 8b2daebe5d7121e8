#include "passes/loss.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "compiler/ops/op_def.h"
#include "passes/dead_code.h"
#include "passes/order_builder.h"

namespace wsi {
namespace {

std::string TypeText(const Value& value) {
  return std::string(DTypeName(value.dtype)) + value.shape.ToString();
}

std::string_view KindName(LossKind kind) {
  switch (kind) {
    case LossKind::kCrossEntropy: return "cross-entropy";
    case LossKind::kBce: return "bce";
    case LossKind::kMse: return "mse";
    case LossKind::kModel: return "model";
    case LossKind::kNone: break;
  }
  return "none";
}

// ------------------------------------------------------------------ appended losses

Status CheckOutput(const Graph& graph, LossKind kind) {
  if (graph.outputs.empty()) {
    return InvalidInput("the model has no output for a loss to compare; try --loss none");
  }
  const Value& output = graph.value(graph.outputs[0]);
  const auto unsuitable = [&](std::string_view wanted) {
    return InvalidInput(fmt::format("loss {}: output '{}' is {}, wanted {}", KindName(kind),
                                    output.name, TypeText(output), wanted));
  };
  if (!IsFloat(output.dtype)) return unsuitable("floating-point numbers; try --loss none");
  if (output.shape.ElementCount() == 0) return unsuitable("at least one element");
  if (kind != LossKind::kCrossEntropy) return {};
  if (output.shape.rank() < 2) {
    return unsuitable("scores [N, classes, ...]; try --loss bce or --loss mse");
  }
  if (output.shape[1] < 2) return unsuitable("two classes or more on axis 1; try --loss bce");
  return {};
}

// The loss on scores: behind a Softmax (or Sigmoid) that ends the model, its operand,
// because the losses apply it themselves.
ValueId Scores(const Graph& graph, LossKind kind, PassContext& context) {
  const ValueId output = graph.outputs[0];
  const NodeId producer = graph.value(output).producer;
  if (!producer.valid()) return output;
  const Node& node = graph.node(producer);
  const int rank = graph.value(output).shape.rank();
  const int64_t axis = node.attributes.Has("axis") ? node.attributes.Int("axis", -1) : -1;
  const bool is_softmax = kind == LossKind::kCrossEntropy && node.op == "Softmax" &&
                          (axis < 0 ? axis + rank : axis) == 1;
  const bool is_sigmoid = kind == LossKind::kBce && node.op == "Sigmoid";
  if (!is_softmax && !is_sigmoid) return output;
  context.Note(fmt::format("the model ends in {} '{}': {} is taken of its operand, '{}'", node.op,
                           node.name, KindName(kind), graph.value(node.inputs[0]).name));
  return node.inputs[0];
}

ValueId AddTarget(Graph& graph, LossKind kind, ValueId scores) {
  const Value& value = graph.value(scores);
  Value target;
  target.name = "target";
  target.role = Role::kTarget;
  target.dtype = value.dtype;
  target.shape = value.shape;
  if (kind == LossKind::kCrossEntropy) {
    std::vector<int64_t> sizes(value.shape.begin(), value.shape.end());
    sizes.erase(sizes.begin() + 1);
    target.dtype = DType::kI64;
    target.shape = Shape::Make(sizes).value();
  }
  return graph.AddValue(std::move(target));
}

Status AppendLoss(Graph& graph, LossKind kind, PassContext& context) {
  WSI_RETURN_IF_ERROR(CheckOutput(graph, kind));
  if (graph.outputs.size() > 1) {
    context.Note(fmt::format("the model has {} outputs: the loss is taken of the first, '{}'",
                             graph.outputs.size(), graph.value(graph.outputs[0]).name));
  }
  const ValueId scores = Scores(graph, kind, context);
  Node node = MakeNode("MeanSquaredError", "loss", {scores, AddTarget(graph, kind, scores)});
  if (kind == LossKind::kBce) node.op = "SigmoidCrossEntropyLoss";
  if (kind == LossKind::kCrossEntropy) {
    node.op = "SoftmaxCrossEntropyLoss";
    node.attributes = {{"reduction", std::string("mean")}};
  }
  WSI_ASSIGN_OR_RETURN(graph.loss, AppendNode(graph, std::move(node), "loss"));
  return {};
}

// ------------------------------------------------------------------- the model's own

bool IsLossNode(const Graph& graph, NodeId id) {
  const std::string& op = graph.node(id).op;
  return op == "SoftmaxCrossEntropyLoss" || op == "NegativeLogLikelihoodLoss";
}

Result<NodeId> FindLossNode(const Graph& graph) {
  std::vector<NodeId> found;
  std::string names;
  for (const NodeId id : graph.order()) {
    if (!IsLossNode(graph, id)) continue;
    found.push_back(id);
    names += (names.empty() ? "'" : ", '") + graph.node(id).name + "'";
  }
  if (found.size() == 1) return found[0];
  if (found.empty()) {
    return InvalidInput(
        "loss model: found no SoftmaxCrossEntropyLoss or NegativeLogLikelihoodLoss in the model, "
        "wanted one; try --loss cross-entropy");
  }
  return InvalidInput(
      fmt::format("loss model: found {} loss nodes ({}), wanted one", found.size(), names));
}

Status UseModelLoss(Graph& graph) {
  WSI_ASSIGN_OR_RETURN(const NodeId id, FindLossNode(graph));
  const Node& node = graph.node(id);
  Value& label = graph.value(node.inputs[1]);
  const auto where = fmt::format("loss model: {} '{}'", node.op, node.name);
  if (label.role != Role::kInput) {
    return InvalidInput(
        fmt::format("{}: label '{}' is no input of the model, wanted one", where, label.name));
  }
  if (label.dtype != DType::kI64) {
    return InvalidInput(
        fmt::format("{}: label '{}' is {}, wanted i64", where, label.name, TypeText(label)));
  }
  const Value& loss = graph.value(node.outputs[0]);
  if (loss.shape.ElementCount() != 1) {
    return InvalidInput(fmt::format("{}: gives {}, wanted a scalar; set reduction to mean or sum",
                                    where, TypeText(loss)));
  }
  label.role = Role::kTarget;
  graph.loss = node.outputs[0];
  return {};
}

Status TakeOutModelLoss(Graph& graph) {
  WSI_ASSIGN_OR_RETURN(const NodeId id, FindLossNode(graph));
  const Node node = graph.node(id);
  std::erase(graph.outputs, node.outputs[0]);
  if (graph.outputs.empty()) graph.outputs.push_back(node.inputs[0]);
  RemoveDeadCode(graph);
  Value& label = graph.value(node.inputs[1]);
  const std::vector<std::vector<Use>> uses = ComputeUses(graph);
  // An unread constant, unlike an input, is forgotten by Compact.
  if (uses[static_cast<size_t>(node.inputs[1].index)].empty()) label.role = Role::kConstant;
  return {};
}

}  // namespace

Result<bool> AddLoss(Graph& graph, const LossOptions& options, PassContext& context) {
  if (options.kind == LossKind::kNone) return false;
  if (options.inference) {
    if (options.kind != LossKind::kModel) return false;
    WSI_RETURN_IF_ERROR(TakeOutModelLoss(graph));
    graph.Compact();
    return true;
  }
  if (graph.loss.valid()) return InvalidInput("the graph has a loss already");
  WSI_RETURN_IF_ERROR(options.kind == LossKind::kModel ? UseModelLoss(graph)
                                                       : AppendLoss(graph, options.kind, context));
  return true;
}

}  // namespace wsi
