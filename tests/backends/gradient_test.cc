// Every gradient rule against central differences in fp64: single-operator graphs are
// differentiated by the autodiff pass and evaluated on the reference backend.
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "compiler/ops/op_def.h"
#include "passes/autodiff.h"
#include "runtime/backends/reference/reference_backend.h"
#include "tests/backends/gradient_cases.h"
#include "tests/backends/graph_evaluator.h"

namespace wsi {
namespace {

constexpr int64_t kMaxEntries = 48;  // Of an input that are moved.
constexpr double kStep = 1e-5;
constexpr double kTolerance = 1e-7;  // Of the largest entry of the gradient.

// An operator's output 0, weighted at random and summed: the loss.
struct Scene {
  TensorStore store;
  Graph graph{&store};
  NamedTensors values;
};

ValueId AddOperand(Scene& scene, const std::string& name, Role role, Tensor tensor) {
  Value value;
  value.name = name;
  value.dtype = tensor.dtype();
  value.shape = tensor.shape();
  value.role = role;
  scene.values.emplace(name, std::move(tensor));
  return scene.graph.AddValue(std::move(value));
}

std::string InputName(int i) { return "input" + std::to_string(i); }

Result<ValueId> AddNode(Graph& graph, const std::string& op, std::vector<ValueId> inputs,
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
  return graph.node(id).outputs[0];
}

// Fills `scene` with the case; inputs in `wrt` are parameters.
Status Build(const GradientCase& test, const std::set<int>& wrt, int64_t seed, Scene& scene) {
  std::vector<ValueId> inputs;
  for (int i = 0; i < static_cast<int>(test.inputs.size()); ++i) {
    const Operand& operand = test.inputs[static_cast<size_t>(i)];
    inputs.emplace_back();
    if (!operand.present) continue;
    inputs.back() =
        AddOperand(scene, InputName(i), wrt.contains(i) ? Role::kParameter : Role::kInput,
                   RandomTensor(operand, seed, i));
  }
  Graph& graph = scene.graph;
  WSI_ASSIGN_OR_RETURN(const ValueId y,
                       AddNode(graph, test.op, inputs, test.attributes, test.outputs));
  const Operand weights{graph.value(y).shape, Fill::kOffZero};
  const ValueId w = AddOperand(scene, "weights", Role::kInput, RandomTensor(weights, seed, 1000));
  WSI_ASSIGN_OR_RETURN(const ValueId product, AddNode(graph, "Mul", {y, w}, {}, 1));
  std::vector<int64_t> axes;
  for (int a = 0; a < graph.value(y).shape.rank(); ++a) axes.push_back(a);
  WSI_ASSIGN_OR_RETURN(graph.loss, AddNode(graph, "ReduceSum", {product},
                                           {{"axes", axes}, {"keepdims", int64_t{0}}}, 1));
  return {};
}

class GradientTest : public testing::TestWithParam<GradientCase> {
 protected:
  double Loss(const Scene& scene, const NamedTensors& given) {
    NamedTensors values;
    for (const auto& [name, tensor] : given) values.emplace(name, tensor.Clone().value());
    const Status done = EvaluateGraph(scene.graph, runner_, values);
    EXPECT_TRUE(done.ok()) << done.message();
    return values[scene.graph.value(scene.graph.loss).name].ToDoubles()[0];
  }

  // d loss / d entry, by central difference.
  double Difference(Scene& scene, const std::string& input, size_t entry) {
    double& x = scene.values[input].data<double>()[entry];
    const double middle = x;
    x = middle + kStep;
    const double above = Loss(scene, scene.values);
    x = middle - kStep;
    const double below = Loss(scene, scene.values);
    x = middle;
    return (above - below) / (2 * kStep);
  }

  // The gradients that autodiff makes, by parameter.
  NamedTensors Differentiated(const GradientCase& test, const std::set<int>& wrt, int64_t seed) {
    Scene scene;
    Status done = Build(test, wrt, seed, scene);
    PassContext context;
    if (done.ok()) done = Differentiate(scene.graph, {}, context).status();
    if (done.ok()) done = EvaluateGraph(scene.graph, runner_, scene.values);
    EXPECT_TRUE(done.ok()) << done.message();
    NamedTensors gradients;
    if (!done.ok()) return gradients;
    for (const ParameterGradient& pair : scene.graph.gradients) {
      gradients.emplace(scene.graph.value(pair.parameter).name,
                        scene.values[scene.graph.value(pair.gradient).name].Clone().value());
    }
    return gradients;
  }

  void CheckInput(Scene& scene, const std::string& input, const Tensor& gradient) {
    ASSERT_EQ(gradient.shape(), scene.values[input].shape());
    ASSERT_EQ(gradient.dtype(), DType::kF64);
    const std::vector<double> analytic = gradient.ToDoubles();
    const auto count = static_cast<int64_t>(analytic.size());
    const int64_t stride = std::max<int64_t>(1, count / kMaxEntries);
    std::vector<std::pair<size_t, double>> numeric;
    double largest = 0;
    for (int64_t i = 0; i < count; i += stride) {
      const auto entry = static_cast<size_t>(i);
      numeric.emplace_back(entry, Difference(scene, input, entry));
      largest = std::max(largest, std::abs(numeric.back().second));
    }
    ASSERT_GT(largest, 1e-6) << "the numeric gradient is all zero: the case checks nothing";
    for (const auto& [entry, slope] : numeric) {
      EXPECT_NEAR(analytic[entry], slope, kTolerance * std::max(largest, 1.0))
          << input << " entry " << entry << " of " << gradient.shape().ToString();
    }
  }

  // Asks autodiff for the gradients of `wrt` alone.
  void CheckInputs(const std::set<int>& wrt) {
    const int64_t seed = TestSeed(20240229);
    SCOPED_TRACE("WSI_TEST_SEED=" + std::to_string(seed));
    Scene scene;
    const Status built = Build(GetParam(), wrt, seed, scene);
    ASSERT_TRUE(built.ok()) << built.message();
    const NamedTensors gradients = Differentiated(GetParam(), wrt, seed);
    for (const int i : wrt) {
      const auto found = gradients.find(InputName(i));
      ASSERT_NE(found, gradients.end()) << "no gradient of input " << i;
      CheckInput(scene, InputName(i), found->second);
    }
  }

  LaunchRunner runner_{MakeReferenceBackend()};
};

TEST_P(GradientTest, AgreesWithCentralDifferences) {
  const std::vector<int>& wrt = GetParam().wrt;
  CheckInputs({wrt.begin(), wrt.end()});
  if (wrt.size() < 2) return;
  for (const int i : wrt) CheckInputs({i});
}

INSTANTIATE_TEST_SUITE_P(Operators, GradientTest, testing::ValuesIn(GradientCases()),
                         [](const testing::TestParamInfo<GradientCase>& param) {
                           return param.param.op + "_" + param.param.name;
                         });

TEST(GradientCoverage, EveryDifferentiableOperatorHasACase) {
  std::set<std::string> covered;
  for (const GradientCase& test : GradientCases()) covered.insert(test.op);
  for (const OpDef* def : AllOps()) {
    if (def->gradient.build == nullptr) continue;
    EXPECT_TRUE(covered.contains(std::string(def->name))) << def->name << " has no gradient case";
  }
}

TEST(GradientCoverage, EveryOperatorHasARuleOrAReason) {
  for (const OpDef* def : AllOps()) {
    EXPECT_NE(def->gradient.build != nullptr, !def->gradient.none_because.empty()) << def->name;
  }
}

}  // namespace
}  // namespace wsi
