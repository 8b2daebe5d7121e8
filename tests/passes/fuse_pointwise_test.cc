// Random graphs of elementwise operators, sums and nodes that are neither, forward and
// backward: fused and as they were they give the same numbers.
#include "passes/fuse_pointwise.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "compiler/ir/text.h"
#include "compiler/ir/verifier.h"
#include "compiler/ops/op_def.h"
#include "runtime/backends/reference/reference_backend.h"
#include "tests/backends/graph_evaluator.h"

namespace wsi {
namespace {

class RandomGraph {
 public:
  RandomGraph(uint32_t seed, TensorStore* tensors) : graph_(tensors), random_(seed) {}

  Graph Make(int nodes) {
    for (int i = 0; i < 4; ++i) AddInput(fmt::format("x{}", i), kShapes[Below(4)]);
    AddInput("x", kShapes[0]);
    const double half[] = {0.5};
    values_.push_back(graph_.AddConstant("half", Tensor::Of<double>(Shape{}, half)));
    for (int i = 0; i < nodes; ++i) {
      phase_ = i < nodes / 2 ? Phase::kForward : Phase::kBackward;
      AddNode(i);
    }
    for (int i = 0; i < 4; ++i) graph_.outputs.push_back(values_[values_.size() - 1 - Below(12)]);
    std::sort(graph_.outputs.begin(), graph_.outputs.end());
    const auto end = std::unique(graph_.outputs.begin(), graph_.outputs.end());
    graph_.outputs.erase(end, graph_.outputs.end());
    return std::move(graph_);
  }

 private:
  static inline const Shape kShapes[] = {{3, 4, 5}, {4, 5}, {3, 1, 5}, {1, 5}};

  size_t Below(size_t count) { return random_() % count; }
  const Value& ValueAt(ValueId id) const { return graph_.value(id); }

  void AddInput(std::string name, const Shape& shape) {
    Value value;
    value.name = std::move(name);
    value.dtype = DType::kF64;
    value.shape = shape;
    value.role = Role::kInput;
    values_.push_back(graph_.AddValue(std::move(value)));
  }

  // A recent value, mostly.
  ValueId Any() {
    return values_[values_.size() - 1 - Below(std::min<size_t>(values_.size(), 14))];
  }

  void AddNode(int number) {
    static const char* const unary[] = {"Tanh", "Sigmoid", "Relu", "Abs", "Neg", "Erf"};
    static const char* const binary[] = {"Add", "Sub", "Mul", "Max", "Min"};
    const ValueId a = Any();
    const size_t kind = Below(14);
    if (kind < 5) return Add(number, unary[Below(6)], {a});
    if (kind < 10) return Add(number, binary[Below(5)], {a, Any()});
    const Shape& shape = ValueAt(a).shape;
    if (kind == 10 && shape.rank() > 0) {
      const std::vector<int64_t> axes = {
          static_cast<int64_t>(Below(static_cast<size_t>(shape.rank())))};
      return Add(number, Below(2) == 0 ? "ReduceSum" : "ReduceMean", {a},
                 {{"axes", axes}, {"keepdims", static_cast<int64_t>(Below(2))}});
    }
    if (kind == 11 && shape.rank() > 0) return Add(number, "Softmax", {a}, {{"axis", int64_t{0}}});
    if (kind == 12) {
      return Add(number, "Expand", {a}, {{"shape", std::vector<int64_t>{3, 4, 5}}});
    }
    return Add(number, "Tanh", {a});
  }

  // Sums of sums do not all broadcast: those that do not are not added.
  void Add(int number, const char* op, std::vector<ValueId> inputs, Attributes attributes = {}) {
    Shape shape;
    for (const ValueId input : inputs) {
      Result<Shape> wider = BroadcastShapes(shape, ValueAt(input).shape);
      if (op == std::string("Expand")) wider = BroadcastShapes(ValueAt(input).shape, {3, 4, 5});
      if (!wider.ok() || wider->ElementCount() > 60) return;
      shape = *wider;
    }
    Node node;
    node.name = fmt::format("n{}", number);
    node.op = op;
    node.attributes = std::move(attributes);
    node.inputs = std::move(inputs);
    node.phase = phase_;
    const std::string names[] = {fmt::format("v{}", number)};
    const NodeId id = graph_.AddNode(std::move(node), names);
    const Status typed = InferTypes(graph_, id);
    WSI_CHECK(typed.ok());
    values_.push_back(graph_.node(id).outputs[0]);
  }

  Graph graph_;
  std::mt19937 random_;
  std::vector<ValueId> values_;
  Phase phase_ = Phase::kForward;
};

NamedTensors InputsOf(const Graph& graph) {
  NamedTensors values;
  std::mt19937 random(7);
  for (int32_t i = 0; i < graph.value_count(); ++i) {
    const ValueId id{i};
    const Value& value = graph.value(id);
    if (value.role == Role::kConstant) {
      values.emplace(value.name, graph.ConstantTensor(id)->Clone().value());
    } else if (value.role == Role::kInput) {
      Tensor tensor = Tensor::Make(DType::kF64, value.shape).value();
      for (double& x : tensor.data<double>()) {
        x = static_cast<double>(random() % 4000) / 1000.0 - 2.0;
      }
      values.emplace(value.name, std::move(tensor));
    }
  }
  return values;
}

int CountOf(const Graph& graph, std::string_view op) {
  const auto& order = graph.order();
  return static_cast<int>(std::count_if(order.begin(), order.end(),
                                        [&](NodeId id) { return graph.node(id).op == op; }));
}

TEST(FusePointwise, ChangesNoResult) {
  LaunchRunner runner(MakeReferenceBackend());
  int programs = 0;
  for (uint32_t seed = 1; seed <= 3000; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    TensorStore tensors;
    Graph graph = RandomGraph(seed, &tensors).Make(static_cast<int>(6 + seed % 50));
    ASSERT_TRUE(VerifyGraph(graph).ok()) << VerifyGraph(graph).message();
    std::vector<std::string> outputs;
    for (const ValueId id : graph.outputs) outputs.push_back(graph.value(id).name);
    NamedTensors before = InputsOf(graph);
    const Status first = EvaluateGraph(graph, runner, before);
    ASSERT_TRUE(first.ok()) << first.message();

    const Result<bool> fused = FusePointwise(graph);
    ASSERT_TRUE(fused.ok()) << fused.status().message();
    const Status valid = VerifyGraph(graph);
    ASSERT_TRUE(valid.ok()) << valid.message() << "\n" << PrintGraph(graph);
    programs += CountOf(graph, "Pointwise");
    NamedTensors after = InputsOf(graph);
    const Status second = EvaluateGraph(graph, runner, after);
    ASSERT_TRUE(second.ok()) << second.message();
    for (const std::string& name : outputs) {
      const std::vector<double> want = before.at(name).ToDoubles();
      const std::vector<double> got = after.at(name).ToDoubles();
      ASSERT_EQ(got.size(), want.size()) << name;
      for (size_t i = 0; i < want.size(); ++i) {
        ASSERT_NEAR(got[i], want[i], 1e-12 * (1 + std::abs(want[i]))) << name << "\n"
                                                                      << PrintGraph(graph);
      }
    }
  }
  EXPECT_GT(programs, 3000);
}

}  // namespace
}  // namespace wsi
