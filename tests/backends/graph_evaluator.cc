#include "tests/backends/graph_evaluator.h"

#include <fmt/format.h>

namespace wsi {
namespace {

Result<Launch> LaunchOf(const Graph& graph, const Node& node, const NamedTensors& values) {
  Launch launch{node.op, node.name, node.attributes, {}, {}, {}};
  for (const ValueId input : node.inputs) {
    launch.inputs.push_back(nullptr);
    if (!input.valid()) continue;
    const auto found = values.find(graph.value(input).name);
    if (found == values.end()) {
      return InvalidInput(fmt::format("value '{}' is not given", graph.value(input).name));
    }
    launch.inputs.back() = &found->second;
  }
  for (const ValueId output : node.outputs) {
    launch.outputs.emplace_back();
    if (!output.valid()) continue;
    launch.outputs.back() = TensorType{graph.value(output).dtype, graph.value(output).shape};
  }
  return launch;
}

Result<std::vector<Tensor>> RunBatchNormTrain(const Launch& train, LaunchRunner& runner) {
  const Shape channels = train.inputs[1]->shape();
  const DType dtype = train.inputs[1]->dtype();
  Launch stats{"BatchNormStats", train.node, train.attributes, {train.inputs[0]}, {}, {}};
  stats.outputs.assign(2, TensorType{dtype, channels});
  WSI_ASSIGN_OR_RETURN(std::vector<Tensor> moments, runner.Run(stats));
  Launch apply{"BatchNormApply", train.node, train.attributes, train.inputs, {}, {}};
  apply.inputs.push_back(&moments[0]);
  apply.inputs.push_back(&moments[1]);
  apply.outputs.push_back(train.outputs[0]);
  WSI_ASSIGN_OR_RETURN(std::vector<Tensor> results, runner.Run(apply));
  results.push_back(std::move(moments[0]));
  results.push_back(std::move(moments[1]));
  return results;
}

}  // namespace

Status EvaluateGraph(const Graph& graph, LaunchRunner& runner, NamedTensors& values) {
  for (const NodeId id : graph.order()) {
    const Node& node = graph.node(id);
    WSI_ASSIGN_OR_RETURN(const Launch launch, LaunchOf(graph, node, values));
    Result<std::vector<Tensor>> results =
        node.op == "BatchNormTrain" ? RunBatchNormTrain(launch, runner) : runner.Run(launch);
    if (!results.ok()) return results.status();
    for (size_t i = 0; i < node.outputs.size(); ++i) {
      if (!node.outputs[i].valid()) continue;
      values[graph.value(node.outputs[i]).name] = std::move((*results)[i]);
    }
  }
  return {};
}

}  // namespace wsi
