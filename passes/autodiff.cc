#include "passes/autodiff.h"

#include <fmt/format.h>

#include <utility>

#include "passes/dead_code.h"
#include "passes/gradient_emitter.h"
#include "passes/gradient_paths.h"
#include "passes/order_builder.h"
#include "passes/scalar_inputs.h"

namespace wsi {
namespace {

// One message with every node on a path that cannot be differentiated.
Status CheckDifferentiable(const Graph& graph, const GradientPaths& paths) {
  std::string missing;
  int count = 0;
  for (const NodeId id : paths.nodes) {
    const Node& node = graph.node(id);
    const OpDef* def = FindOp(node.op);
    WSI_CHECK(def != nullptr);
    if (def->gradient.build != nullptr) continue;
    missing += fmt::format("{}{} '{}': {}", count == 0 ? "" : "; ", node.op, node.name,
                           def->gradient.none_because);
    ++count;
  }
  if (count == 0) return {};
  return InvalidInput(
      fmt::format("{} operator{} between a trainable weight and the loss {} no gradient: {}", count,
                  count == 1 ? "" : "s", count == 1 ? "has" : "have", missing));
}

Result<ValueId> SeedScale(Graph& graph) {
  const Value loss = graph.value(graph.loss);
  WSI_ASSIGN_OR_RETURN(const ValueId scale, FindOrAddScalar(graph, "loss_scale", loss.dtype));
  if (loss.shape.rank() == 0) return scale;
  const std::string name = loss.name + ".grad";
  Node reshape = MakeNode("Reshape", name, {scale},
                          {{"shape", std::vector<int64_t>(loss.shape.begin(), loss.shape.end())}},
                          Phase::kBackward);
  return AppendNode(graph, std::move(reshape), name);
}

Result<ValueId> SeedGradient(Graph& graph, const AutodiffOptions& options) {
  if (options.loss_scale) return SeedScale(graph);
  const Value& loss = graph.value(graph.loss);
  const std::string name = loss.name + ".grad";
  Node fill = MakeNode("Fill", name, {},
                       {{"value", 1.0},
                        {"shape", std::vector<int64_t>(loss.shape.begin(), loss.shape.end())},
                        {"dtype", std::string(DTypeName(loss.dtype))}},
                       Phase::kBackward);
  return AppendNode(graph, std::move(fill), name);
}

// Runs every rule that a gradient reaches and gathers what they reject.
Status RunRules(Graph& graph, const GradientPaths& paths, GradientSums& sums) {
  const Graph forward = graph;
  std::string rejected;
  for (auto at = paths.nodes.rbegin(); at != paths.nodes.rend(); ++at) {
    GradientEmitter emitter(graph, forward, *at, paths, sums);
    bool is_reached = false;
    for (int i = 0; i < emitter.op().output_count(); ++i) {
      is_reached |= emitter.OutputGrad(i).valid();
    }
    if (!is_reached) continue;
    Status done = FindOp(emitter.op().op())->gradient.build(emitter);
    if (done.ok()) done = emitter.Finish();
    if (done.ok()) continue;
    if (done.code() != ErrorCode::kInvalidInput) return done;
    rejected += (rejected.empty() ? "" : "; ") + done.message();
  }
  return rejected.empty() ? Status() : InvalidInput(rejected);
}

// Records the gradients found and makes constants of parameters without one.
void RecordGradients(Graph& graph, const GradientSums& sums, PassContext& context) {
  constexpr int kMostNamed = 8;
  std::string unreached;
  int count = 0;
  for (int32_t i = 0; i < graph.value_count(); ++i) {
    const ValueId id{i};
    Value& value = graph.value(id);
    if (value.role != Role::kParameter) continue;
    const ValueId gradient = sums.Find(id);
    if (gradient.valid()) {
      graph.gradients.push_back({id, gradient});
      continue;
    }
    value.role = Role::kConstant;
    if (count < kMostNamed) unreached += fmt::format("{}'{}'", count == 0 ? "" : ", ", value.name);
    ++count;
  }
  if (count == 0) return;
  if (count > kMostNamed) unreached += ", ...";
  context.Note(fmt::format("{} weight{} not reach the loss and will not be trained: {}", count,
                           count == 1 ? " does" : "s do", unreached));
}

}  // namespace

Result<bool> Differentiate(Graph& graph, const AutodiffOptions& options, PassContext& context) {
  if (!graph.loss.valid()) return InvalidInput("there is no loss to differentiate");
  if (!graph.gradients.empty()) return InvalidInput("the graph is differentiated already");
  const GradientPaths paths = ComputeGradientPaths(graph);
  if (!paths.Contains(graph.loss)) {
    return InvalidInput(
        "no trainable weight reaches the loss; wanted a floating-point initializer on a path to "
        "it; try another --loss, or --loss none");
  }
  WSI_RETURN_IF_ERROR(CheckDifferentiable(graph, paths));
  GradientSums sums(graph);
  WSI_ASSIGN_OR_RETURN(const ValueId seed, SeedGradient(graph, options));
  WSI_RETURN_IF_ERROR(sums.Accumulate(graph.loss, seed));
  WSI_RETURN_IF_ERROR(RunRules(graph, paths, sums));
  RecordGradients(graph, sums, context);
  RemoveDeadCode(graph);
  graph.Compact();
  return true;
}

}  // namespace wsi
