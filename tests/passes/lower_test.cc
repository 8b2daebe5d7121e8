#include "passes/lower.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

#include "compiler/ir/text.h"
#include "passes/assign.h"
#include "passes/schedule.h"
#include "runtime/plan/verify_plan.h"
#include "tests/passes/random_step.h"

namespace wsi {
namespace {

constexpr std::string_view kTrain =
    "wsir 1\n"
    "%x : f32[2,3] input permute [1, 0]\n"
    "%lr : f32[] scalar\n"
    "%w : f32[3,2] parameter tensor \"fc.weight\" permute [1, 0]\n"
    "%m : f32[3,2] state permute [1, 0]\n"
    "%c : f32[6] constant tensor \"c\" = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]\n"
    "%cv : f32[2,3] = Reshape(%c) {shape=[2, 3]} forward \"cv\"\n"
    "%s : f32[2,3] = Add(%x, %cv) forward \"s\"\n"
    "%y : f32[2,2] = MatMul(%s, %w) forward \"y\"\n"
    "%flat : f32[4] = Reshape(%y) {shape=[4]} forward \"flat\"\n"
    "%loss : f32[] = ReduceMean(%flat) {axes=[0], keepdims=0} forward \"loss\"\n"
    "%g : f32[3,2] = MatMul(%s, %y) {transA=1, transB=0} backward \"g\"\n"
    "%w2 : f32[3,2], %m2 : f32[3,2] = MomentumUpdate(%w, %g, %m, %lr) "
    "{momentum=0.9, nesterov=0, weight_decay=0.0} update \"sgd\"\n"
    "outputs %flat\n"
    "loss %loss\n"
    "update %w <- %w2\n"
    "update %m <- %m2\n"
    "gradient %w <- %g\n";
constexpr std::string_view kInfer =
    "wsir 1\n"
    "%x : f32[2,3] input permute [1, 0]\n"
    "%w : f32[3,2] parameter tensor \"fc.weight\" permute [1, 0]\n"
    "%y : f32[2,2] = MatMul(%x, %w) forward \"y\"\n"
    "outputs %y\n";

class Lower : public testing::Test {
 protected:
  Lower() {
    std::vector<double> elements(6);
    std::iota(elements.begin(), elements.end(), 0.0);
    tensors_.Add("fc.weight", Tensor::Of<double>({2, 3}, elements));
    train_ = ParseGraph(kTrain, &tensors_).value();
    infer_ = ParseGraph(kInfer, &tensors_).value();
    const Graph* graphs[] = {&train_, &infer_};
    const PersistentLayout layout = LayOutPersistents(graphs).value();
    for (Graph* graph : {&train_, &infer_}) {
      const Result<bool> assigned = AssignBuffers(*graph, {.persistents = layout}, context_);
      EXPECT_TRUE(assigned.ok()) << assigned.status().message();
    }
  }
  Result<LoweredPlan> Run() {
    const ProgramSource programs[] = {{"train", &train_}, {"infer", &infer_}};
    return LowerToPlan(programs);
  }

  TensorStore tensors_;
  Graph train_{&tensors_};
  Graph infer_{&tensors_};
  PassContext context_;
};

TEST_F(Lower, MakesAPlanThatTheVerifierAccepts) {
  const Result<LoweredPlan> lowered = Run();
  ASSERT_TRUE(lowered.ok()) << lowered.status().message();
  const plan::Plan& plan = lowered->plan;
  EXPECT_EQ(VerifyPlan(plan).message(), "");
  EXPECT_EQ(plan.device_peak_bytes(), std::max(train_.device_bytes(), infer_.device_bytes()));
  ASSERT_EQ(plan.programs_size(), 2);
  const plan::Program& train = plan.programs(0);
  std::vector<std::string> names;
  for (const plan::Instruction& instruction : train.instructions()) {
    names.push_back(instruction.name());
  }
  EXPECT_THAT(names, testing::ElementsAre("s", "y", "loss", "g", "sgd"));  // No views.
  EXPECT_GT(train.instructions(1).launch().flops(), 0);
  EXPECT_EQ(train.instructions(4).phase(), plan::PHASE_UPDATE);
  EXPECT_EQ(plan.values(train.loss()).name(), "loss");
  EXPECT_EQ(plan.values(train.outputs(0)).name(), "flat");
  EXPECT_EQ(plan.values(train.scalars(0)).name(), "lr");
  EXPECT_THAT(plan.values(train.inputs(0)).permutation(), testing::ElementsAre(1, 0));
  EXPECT_EQ(train.target(), -1);
}

TEST_F(Lower, KnowsPersistentValuesByOnnxNameShapeAndContents) {
  const LoweredPlan lowered = Run().value();
  ASSERT_EQ(lowered.plan.persistents_size(), 3);
  const plan::Persistent& w = lowered.plan.persistents(0);
  EXPECT_EQ(w.onnx_name(), "fc.weight");
  EXPECT_THAT(w.onnx_dims(), testing::ElementsAre(2, 3));
  EXPECT_THAT(w.permutation(), testing::ElementsAre(1, 0));
  EXPECT_EQ(w.data_bytes(), 24);
  EXPECT_FALSE(w.optimizer_state());
  EXPECT_EQ(lowered.plan.values(w.gradient()).name(), "g");
  const Result<Tensor> data = lowered.Data(0);
  ASSERT_TRUE(data.ok());
  EXPECT_EQ(data->dtype(), DType::kF32);
  EXPECT_EQ(data->shape(), (Shape{3, 2}));
  EXPECT_THAT(data->ToDoubles(), testing::ElementsAre(0, 3, 1, 4, 2, 5));

  const plan::Persistent& m = lowered.plan.persistents(1);
  EXPECT_EQ(m.onnx_name(), "m");
  EXPECT_THAT(m.onnx_dims(), testing::ElementsAre(2, 3));
  EXPECT_EQ(m.data_bytes(), 0);
  EXPECT_TRUE(m.optimizer_state());
  EXPECT_EQ(lowered.plan.persistents(2).onnx_name(), "c");
}

TEST_F(Lower, RefusesAMissingTensor) {
  TensorStore other;
  Graph graph = ParseGraph(kInfer, &other).value();
  ASSERT_TRUE(AssignBuffers(graph, {}, context_).ok());
  const ProgramSource programs[] = {{"infer", &graph}};
  const Result<LoweredPlan> lowered = LowerToPlan(programs);
  ASSERT_FALSE(lowered.ok());
  EXPECT_EQ(lowered.status().message(), "program 'infer': %w: there is no tensor 'fc.weight'");
}

TEST_F(Lower, RefusesProgramsThatDisagree) {
  infer_.value(infer_.FindValue("w")).tensor = "c";
  infer_.value(infer_.FindValue("w")).permutation = {};
  EXPECT_EQ(Run().status().code(), ErrorCode::kInternal);
}

TEST(LowerRandom, EveryPlanPassesItsVerifier) {
  PassContext context;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    TensorStore tensors;
    Graph graph = MakeRandomStep(seed, 5 + static_cast<int>(seed % 50), &tensors);
    ASSERT_TRUE(ScheduleNodes(graph, {}, context).ok());
    graph.Compact();
    ASSERT_TRUE(AssignBuffers(graph, {}, context).ok());
    const ProgramSource programs[] = {{"train", &graph}};
    const Result<LoweredPlan> lowered = LowerToPlan(programs);
    ASSERT_TRUE(lowered.ok()) << lowered.status().message();
    ASSERT_EQ(VerifyPlan(lowered->plan).message(), "") << "seed " << seed << "\n"
                                                       << PrintGraph(graph);
  }
}

}  // namespace
}  // namespace wsi
