#include "tests/backends/case_graph.h"

#include "compiler/ops/op_def.h"
#include "passes/autodiff.h"

namespace wsi {
namespace {

Result<ValueId> AddOperand(CaseGraph& scene, const std::string& name, Role role, Tensor tensor) {
  Value value;
  value.name = name;
  value.dtype = tensor.dtype();
  value.shape = tensor.shape();
  value.role = role;
  if (role == Role::kConstant) {
    WSI_ASSIGN_OR_RETURN(Tensor contents, tensor.Clone());
    const ValueId id = scene.graph.AddConstant(name, std::move(contents));
    scene.values.emplace(scene.graph.value(id).name, std::move(tensor));
    return id;
  }
  scene.values.emplace(name, std::move(tensor));
  return scene.graph.AddValue(std::move(value));
}

Result<NodeId> AddNode(Graph& graph, const std::string& op, std::vector<ValueId> inputs,
                       Attributes attributes, int outputs) {
  Node node;
  node.name = op;
  node.op = op;
  node.inputs = std::move(inputs);
  node.attributes = std::move(attributes);
  std::vector<std::string> names;
  for (int i = 0; i < outputs; ++i) names.push_back(op + ".out" + std::to_string(i));
  const NodeId id = graph.AddNode(std::move(node), names);
  WSI_RETURN_IF_ERROR(InferTypes(graph, id));
  return id;
}

}  // namespace

std::string InputName(int i) { return "input" + std::to_string(i); }

Status BuildCaseGraph(const GradientCase& test, const std::set<int>& wrt, int64_t seed,
                      Fill weights, CaseGraph& scene) {
  std::vector<ValueId> inputs;
  for (int i = 0; i < static_cast<int>(test.inputs.size()); ++i) {
    const Operand& operand = test.inputs[static_cast<size_t>(i)];
    inputs.emplace_back();
    if (!operand.present) continue;
    const Role role = wrt.contains(i) ? Role::kParameter : Role::kConstant;
    WSI_ASSIGN_OR_RETURN(inputs.back(),
                         AddOperand(scene, InputName(i), role, RandomTensor(operand, seed, i)));
  }
  Graph& graph = scene.graph;
  WSI_ASSIGN_OR_RETURN(scene.node, AddNode(graph, test.op, inputs, test.attributes, test.outputs));
  const ValueId y = graph.node(scene.node).outputs[0];
  const Shape shape = graph.value(y).shape;
  WSI_ASSIGN_OR_RETURN(const ValueId w, AddOperand(scene, "weights", Role::kInput,
                                                   RandomTensor({shape, weights}, seed, 1000)));
  WSI_ASSIGN_OR_RETURN(const NodeId product, AddNode(graph, "Mul", {y, w}, {}, 1));
  std::vector<int64_t> axes;
  for (int a = 0; a < shape.rank(); ++a) axes.push_back(a);
  WSI_ASSIGN_OR_RETURN(const NodeId sum,
                       AddNode(graph, "ReduceSum", {graph.node(product).outputs[0]},
                               {{"axes", axes}, {"keepdims", int64_t{0}}}, 1));
  graph.loss = graph.node(sum).outputs[0];
  return {};
}

Status DifferentiateAndEvaluate(CaseGraph& scene, LaunchRunner& runner) {
  PassContext context;
  WSI_RETURN_IF_ERROR(Differentiate(scene.graph, {}, context).status());
  return EvaluateGraph(scene.graph, runner, scene.values);
}

Result<double> EvaluateLoss(const CaseGraph& scene, const NamedTensors& given,
                            LaunchRunner& runner) {
  NamedTensors values;
  for (const auto& [name, tensor] : given) values.emplace(name, tensor.Clone().value());
  WSI_RETURN_IF_ERROR(EvaluateGraph(scene.graph, runner, values));
  return values[scene.graph.value(scene.graph.loss).name].ToDoubles()[0];
}

NamedTensors GradientsOf(const CaseGraph& scene) {
  NamedTensors gradients;
  for (const ParameterGradient& pair : scene.graph.gradients) {
    gradients.emplace(scene.graph.value(pair.parameter).name,
                      scene.values.at(scene.graph.value(pair.gradient).name).Clone().value());
  }
  return gradients;
}

}  // namespace wsi
