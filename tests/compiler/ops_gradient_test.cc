// Every gradient rule gives each operand a gradient of its own type, built from nodes
// that infer. Values are checked against central differences elsewhere.
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "tests/compiler/op_fixture.h"

namespace wsi {
namespace {

using I = std::vector<int64_t>;

// Differentiates one node, all of whose float inputs are wanted.
class TypedBuilder : public GradBuilder {
 public:
  TypedBuilder(OneNode& one, const std::set<int>& wanted)
      : graph_(one.graph()),
        node_(one.node()),
        wanted_(wanted),
        forward_(one.graph()),
        view_(forward_, node_) {
    Value dy = graph_.value(graph_.node(node_).outputs[0]);
    dy.name = "dy";
    dy.role = Role::kInput;
    dy.producer = NodeId{};
    dy_ = graph_.AddValue(std::move(dy));
  }

  const OpView& op() const override { return view_; }
  ValueId Input(int i) const override { return graph_.node(node_).inputs[Index(i)]; }
  ValueId Output(int i) const override { return graph_.node(node_).outputs[Index(i)]; }
  ValueId RequestOutput(int i) override {
    const ValueId id = graph_.AddOutput(node_, i, "requested");
    WSI_CHECK(InferTypes(graph_, node_).ok());
    return id;
  }
  ValueId OutputGrad(int i) const override { return i == 0 ? dy_ : ValueId{}; }
  bool WantsInputGrad(int i) const override { return wanted_.contains(i); }
  void SetInputGrad(int i, ValueId gradient) override { gradients_[i] = gradient; }
  Result<ValueId> Emit(std::string_view op, std::vector<ValueId> inputs,
                       Attributes attributes) override {
    WSI_ASSIGN_OR_RETURN(const std::vector<ValueId> outputs,
                         EmitMany(op, std::move(inputs), std::move(attributes), 1));
    return outputs[0];
  }
  Result<std::vector<ValueId>> EmitMany(std::string_view op, std::vector<ValueId> inputs,
                                        Attributes attributes, int outputs) override {
    Node node;
    node.op = std::string(op);
    node.attributes = std::move(attributes);
    node.inputs = std::move(inputs);
    const std::vector<std::string> names(Index(outputs), "g");
    const NodeId id = graph_.AddNode(std::move(node), names);
    WSI_RETURN_IF_ERROR(InferTypes(graph_, id));
    return graph_.node(id).outputs;
  }

  const std::map<int, ValueId>& gradients() const { return gradients_; }

 private:
  static size_t Index(int i) { return static_cast<size_t>(i); }

  Graph& graph_;
  NodeId node_;
  std::set<int> wanted_;
  const Graph forward_;  // Emit moves the nodes and values of graph_.
  OpView view_;
  ValueId dy_;
  std::map<int, ValueId> gradients_;
};

struct Case {
  std::string op;
  std::vector<Operand> operands;
  Attributes attributes = {};
  std::set<int> wanted = {0};
  int outputs = 1;
};

void ExpectTypedGradients(const Case& c) {
  OneNode one(c.op, c.operands, c.attributes, c.outputs);
  const Status inferred = InferTypes(one.graph(), one.node());
  ASSERT_TRUE(inferred.ok()) << inferred.message();
  const OpDef* def = FindOp(c.op);
  ASSERT_NE(def->gradient.build, nullptr);
  TypedBuilder builder(one, c.wanted);
  const Status built = def->gradient.build(builder);
  ASSERT_TRUE(built.ok()) << built.message();
  for (const int i : c.wanted) {
    ASSERT_TRUE(builder.gradients().contains(i)) << "input " << i;
    const Value& gradient = one.graph().value(builder.gradients().at(i));
    EXPECT_EQ(gradient.dtype, one.view().input(i).dtype) << "input " << i;
    EXPECT_EQ(gradient.shape, one.view().input_shape(i)) << "input " << i;
  }
}

class TypedGradients : public testing::TestWithParam<Case> {};
TEST_P(TypedGradients, AreOfTheOperandsTypes) { ExpectTypedGradients(GetParam()); }

std::string CaseName(const testing::TestParamInfo<Case>& info) {
  return info.param.op + std::to_string(info.index);
}

const Attributes kWindow = {{"kernel_shape", I{3, 3}}, {"strides", I{2, 1}},
                            {"dilations", I{1, 2}},    {"pads", I{1, 2, 1, 2}},
                            {"ceil_mode", int64_t{1}}, {"channels_last", int64_t{1}}};
Attributes Grouped() {
  Attributes attributes = kWindow;
  attributes.Set("group", int64_t{2});
  return attributes;
}
const Attributes kLast = {{"channels_last", int64_t{1}}};
Attributes Norm(int64_t relu) {
  return {{"epsilon", 1e-5}, {"relu", relu}, {"channels_last", int64_t{1}}};
}
const Operand kMap = F32({2, 9, 8, 4});

INSTANTIATE_TEST_SUITE_P(
    Spatial, TypedGradients,
    testing::Values(
        Case{"Conv", {kMap, F32({6, 3, 3, 2}), F32({6})}, Grouped(), {0, 1, 2}},
        Case{"MaxPool", {kMap}, kWindow}, Case{"AveragePool", {kMap}, kWindow},
        Case{"GlobalAveragePool", {kMap}, kLast}, Case{"GlobalMaxPool", {kMap}, kLast},
        Case{"BatchNormTrain", {kMap, F32({4}), F32({4})}, Norm(0), {0, 1, 2}, 3},
        Case{"BatchNormApply",
             {kMap, F32({4}), F32({4}), F32({4}), F32({4}), kMap},
             Norm(1),
             {0, 1, 2, 5}},
        Case{"BatchNormApply", {kMap, F32({4}), F32({4}), F32({4}), F32({4})}, Norm(1), {0, 1, 2}},
        Case{"BatchNormApply", {kMap, F32({4}), F32({4}), F32({4}), F32({4})}, Norm(0)},
        Case{"GroupNormalization",
             {kMap, F32({4}), F32({4})},
             {{"num_groups", int64_t{2}}, {"channels_last", int64_t{1}}},
             {0, 1, 2}}),
    CaseName);

Attributes Transposed(int64_t a, int64_t b) { return {{"transA", a}, {"transB", b}}; }

INSTANTIATE_TEST_SUITE_P(
    Linear, TypedGradients,
    testing::Values(
        Case{"Gemm", {F32({2, 5}), F32({5, 3}), F32({3})}, Transposed(0, 0), {0, 1, 2}},
        Case{"Gemm", {F32({5, 2}), F32({5, 3}), F32({2, 1})}, Transposed(1, 0), {0, 1, 2}},
        Case{"Gemm", {F32({2, 5}), F32({3, 5}), F32({})}, Transposed(0, 1), {0, 1, 2}},
        Case{"Gemm", {F32({5, 2}), F32({3, 5}), F32({2, 3})}, Transposed(1, 1), {0, 1, 2}},
        Case{"MatMul", {F32({7, 1, 2, 5}), F32({4, 5, 3})}, Transposed(0, 0), {0, 1}},
        Case{"MatMul", {F32({7, 5, 2}), F32({5, 3})}, Transposed(1, 0), {0, 1}},
        Case{"MatMul", {F32({7, 2, 5}), F32({3, 5})}, Transposed(0, 1), {0, 1}},
        Case{"MatMul", {F32({7, 5, 2}), F32({7, 3, 5})}, Transposed(1, 1), {0, 1}},
        Case{"MatMul", {F32({5}), F32({4, 5, 3})}, {}, {0, 1}},
        Case{"MatMul", {F32({4, 2, 5}), F32({5})}, {}, {0, 1}},
        Case{"MatMul", {F32({5}), F32({5})}, {}, {0, 1}}),
    CaseName);

std::vector<Case> PointwiseCases() {
  std::vector<Case> cases;
  for (const char* op :
       {"Abs",        "Clip", "Elu",     "Erf",      "Exp",  "HardSigmoid", "HardSwish", "Identity",
        "LeakyRelu",  "Log",  "Cos",     "Cosh",     "Gelu", "Sin",         "Sinh",      "Neg",
        "Reciprocal", "Relu", "Sigmoid", "Softplus", "Sqrt", "Tanh"}) {
    cases.push_back({op, {F32({2, 3})}});
  }
  for (const char* op : {"Add", "Sub", "Mul", "Div", "Pow", "Max", "Min", "Mod"}) {
    cases.push_back({op, {F32({2, 1, 4}), F32({3, 1})}, {}, {0, 1}});
    cases.push_back({op, {F32({}), F32({1, 3})}, {}, {0, 1}});
    cases.push_back({op, {Of(DType::kF64, {2}), Of(DType::kF64, {2})}, {}, {1}});
  }
  cases.push_back({"Where", {Of(DType::kBool, {3, 1}), F32({4}), F32({2, 1, 1})}, {}, {1, 2}});
  cases.push_back({"Cast", {Of(DType::kF16, {2})}, {{"to", std::string("f32")}}});
  return cases;
}
INSTANTIATE_TEST_SUITE_P(Pointwise, TypedGradients, testing::ValuesIn(PointwiseCases()), CaseName);

INSTANTIATE_TEST_SUITE_P(
    Others, TypedGradients,
    testing::Values(
        Case{"ReduceSum", {F32({2, 3, 4})}, {{"axes", I{0, 2}}, {"keepdims", int64_t{0}}}},
        Case{"ReduceMean", {F32({2, 3, 4})}, {{"axes", I{1}}}},
        Case{"Softmax", {F32({2, 3})}, {{"axis", int64_t{1}}}},
        Case{"LogSoftmax", {F32({2, 3})}, {{"axis", int64_t{0}}}},
        Case{"Concat", {F32({2, 3}), F32({2, 5})}, {{"axis", int64_t{1}}}, {0, 1}},
        Case{"Slice",
             {F32({9, 4})},
             {{"starts", I{8}}, {"ends", I{-1}}, {"axes", I{0}}, {"steps", I{-3}}}},
        Case{"Pad", {F32({2, 3})}, {{"pads", I{0, 1, 0, 2}}}},
        Case{"Expand", {F32({3, 1})}, {{"shape", I{2, 3, 4}}}},
        Case{"Reshape", {F32({3, 4})}, {{"shape", I{12}}}},
        Case{"Transpose", {F32({2, 3, 4})}, {{"perm", I{2, 0, 1}}}},
        Case{"SoftmaxCrossEntropyLoss", {F32({2, 5, 3}), Of(DType::kI64, {2, 3}), F32({5})}},
        Case{"NegativeLogLikelihoodLoss",
             {F32({2, 5}), Of(DType::kI64, {2})},
             {{"reduction", std::string("sum")}, {"ignore_index", int64_t{-100}}}},
        Case{"SigmoidCrossEntropyLoss", {F32({2, 1}), F32({2, 1})}},
        Case{"MeanSquaredError", {F32({2, 3}), F32({2, 3})}, {}, {0, 1}},
        Case{"Dropout",
             {F32({4}), Of(DType::kI64, {}), Of(DType::kI64, {})},
             {{"ratio", 0.25}, {"seed_id", int64_t{1}}}}),
    CaseName);

Case Along(std::string op, std::vector<Operand> operands, Attributes attributes = {},
           std::set<int> wanted = {0}) {
  attributes.Set("axis", int64_t{1});
  return {std::move(op), std::move(operands), std::move(attributes), std::move(wanted)};
}
INSTANTIATE_TEST_SUITE_P(
    AlongAnAxis, TypedGradients,
    testing::Values(Along("CumSum", {F32({2, 3})}),
                    Along("Gather", {F32({2, 3, 4}), Of(DType::kI64, {5})}),
                    Along("GatherElements", {F32({2, 3}), Of(DType::kI64, {2, 5})}),
                    Along("LayerNormalization", {F32({2, 3, 4}), F32({3, 4}), F32({3, 4})}, {},
                          {0, 1, 2}),
                    Along("RMSNormalization", {F32({2, 3, 4}), F32({3, 4})}, {}, {0, 1}),
                    Along("Resample", {F32({2, 3}), Of(DType::kI64, {5, 2}), F32({5, 2})}),
                    Case{"GridSample", {F32({2, 3, 4, 5}), F32({2, 6, 7, 2})}, {}, {0, 1}},
                    Along("ScatterElements", {F32({2, 3}), Of(DType::kI64, {2, 2}), F32({2, 2})},
                          {{"reduction", std::string("add")}}, {0, 2}),
                    Along("TopK", {F32({2, 3})}, {{"k", int64_t{2}}}),
                    Case{"ReduceMax", {F32({2, 3})}, {{"axes", I{1}}}},
                    Case{"ReduceMin", {F32({2, 3})}, {{"axes", I{0}}, {"keepdims", int64_t{0}}}},
                    Case{"ReduceProd", {F32({2, 3})}, {{"axes", I{1}}}},
                    Case{"ConvTranspose",
                         {F32({1, 5, 4, 4}), F32({5, 2, 3, 3})},
                         {{"kernel_shape", I{3, 3}},
                          {"strides", I{2, 2}},
                          {"dilations", I{1, 1}},
                          {"pads", I{1, 1, 0, 0}},
                          {"group", int64_t{1}}},
                         {0, 1}}),
    CaseName);

TEST(GradientCases, CoverEveryDifferentiableOperator) {
  std::set<std::string_view> covered;
  const auto* unit = testing::UnitTest::GetInstance();
  for (int s = 0; s < unit->total_test_suite_count(); ++s) {
    const auto* suite = unit->GetTestSuite(s);
    for (int t = 0; t < suite->total_test_count(); ++t) {
      const std::string name = suite->GetTestInfo(t)->name();
      for (const OpDef* op : AllOps()) {
        const std::string prefix = "AreOfTheOperandsTypes/" + std::string(op->name);
        if (!name.starts_with(prefix)) continue;
        if (name.find_first_not_of("0123456789", prefix.size()) == std::string::npos) {
          covered.insert(op->name);
        }
      }
    }
  }
  for (const OpDef* op : AllOps()) {
    if (op->gradient.build != nullptr) {
      EXPECT_TRUE(covered.contains(op->name)) << op->name;
    }
  }
}

}  // namespace
}  // namespace wsi
