// Schedule, liveness and assign on random training steps, judged by the verifier, which
// shares no code with them.
#include <gtest/gtest.h>

#include <algorithm>

#include "compiler/ir/text.h"
#include "compiler/ir/verifier.h"
#include "passes/assign.h"
#include "passes/liveness.h"
#include "passes/place_buffers.h"
#include "passes/schedule.h"
#include "tests/passes/random_step.h"

namespace wsi {
namespace {

Bytes Peak(const Graph& graph) {
  const std::vector<Bytes> live = LiveBytesByStep(graph, ComputeLiveness(graph).value());
  return *std::max_element(live.begin(), live.end());
}

TEST(MemoryPlanning, RandomStepsStayValidAndGetNoWorse) {
  PassContext context;
  int improved = 0;
  int shared = 0;
  for (uint64_t seed = 0; seed < 400; ++seed) {
    TensorStore tensors;
    Graph graph = MakeRandomStep(seed, 6 + static_cast<int>(seed % 60), &tensors);
    ASSERT_EQ(VerifyGraph(graph).message(), "") << "seed " << seed << "\n" << PrintGraph(graph);
    const Bytes before = Peak(graph);
    const Result<bool> moved = ScheduleNodes(graph, {}, context);
    ASSERT_TRUE(moved.ok()) << moved.status().message() << "\n" << PrintGraph(graph);
    graph.Compact();
    const Bytes after = Peak(graph);
    EXPECT_LE(after, before) << "seed " << seed;
    improved += after < before ? 1 : 0;
    const Result<bool> assigned = AssignBuffers(graph, {}, context);
    ASSERT_TRUE(assigned.ok()) << assigned.status().message() << "\n" << PrintGraph(graph);
    ASSERT_EQ(VerifyGraph(graph).message(), "") << "seed " << seed << "\n" << PrintGraph(graph);
    EXPECT_FALSE(AssignBuffers(graph, {}, context).value()) << "assign is not idempotent";
    shared += static_cast<int>(graph.buffers.size()) < graph.value_count() ? 1 : 0;
    TensorStore fresh;
    EXPECT_TRUE(ParseGraph(PrintGraph(graph), &fresh).value() == graph);
  }
  EXPECT_GT(improved, 20);
  EXPECT_GT(shared, 300);
}

TEST(MemoryPlanning, ForwardNodesKeepTheirOrder) {
  PassContext context;
  for (uint64_t seed = 0; seed < 100; ++seed) {
    TensorStore tensors;
    Graph graph = MakeRandomStep(seed, 40, &tensors);
    const auto forward = [&] {
      std::vector<NodeId> nodes;
      for (const NodeId id : graph.order()) {
        if (graph.node(id).phase == Phase::kForward) nodes.push_back(id);
      }
      return nodes;
    };
    const std::vector<NodeId> before = forward();
    ASSERT_TRUE(ScheduleNodes(graph, {}, context).ok());
    EXPECT_EQ(forward(), before);
  }
}

// Mostly, the arena is what its busiest step needs, and no more; not every set of
// lifetimes has a placement at that bound.
TEST(MemoryPlanning, ArenaIsThePeakOfLiveBytes) {
  PassContext context;
  int exact = 0;
  for (uint64_t seed = 0; seed < 100; ++seed) {
    TensorStore tensors;
    Graph graph = MakeRandomStep(seed, 60, &tensors);
    const Graph* graphs[] = {&graph};
    const Bytes bound = LayOutPersistents(graphs).value().bytes[0] + Peak(graph);
    ASSERT_TRUE(AssignBuffers(graph, {}, context).ok());
    EXPECT_GE(graph.device_bytes(), bound);
    exact += graph.device_bytes() == bound ? 1 : 0;
  }
  EXPECT_GE(exact, 85);
}

TEST(MemoryPlanning, ProgramsShareThePlacesOfPersistentValues) {
  TensorStore tensors;
  Graph train = MakeRandomStep(3, 40, &tensors);
  Graph infer = MakeRandomStep(3, 40, &tensors);
  infer.updates.clear();
  Value extra;
  extra.name = "a constant of inference";
  extra.role = Role::kConstant;
  extra.shape = {5};
  infer.outputs.push_back(infer.AddValue(extra));
  const Graph* graphs[] = {&infer, &train};
  const Result<PersistentLayout> layout = LayOutPersistents(graphs);
  ASSERT_TRUE(layout.ok());
  PassContext context;
  for (Graph* graph : {&train, &infer}) {
    ASSERT_TRUE(AssignBuffers(*graph, {.persistents = *layout}, context).ok());
    ASSERT_EQ(VerifyGraph(*graph).message(), "");
  }
  int compared = 0;
  for (int32_t i = 0; i < train.value_count(); ++i) {
    const Value& value = train.value(ValueId{i});
    if (!IsPersistent(value.role)) {
      EXPECT_GE(train.buffers[static_cast<size_t>(value.buffer.index)].offset +
                    (value.role == Role::kIntermediate ? layout->bytes[0] : 0),
                layout->bytes[0]);
      continue;
    }
    const ValueId other = infer.FindValue(value.name);
    if (!other.valid()) continue;
    EXPECT_EQ(train.buffers[static_cast<size_t>(value.buffer.index)].offset,
              infer.buffers[static_cast<size_t>(infer.value(other).buffer.index)].offset);
    ++compared;
  }
  EXPECT_GT(compared, 2);
}

TEST(MemoryPlanning, ABudgetIsKeptOrRefused) {
  TensorStore tensors;
  Graph graph = MakeRandomStep(3, 40, &tensors);
  PassContext context;
  ASSERT_TRUE(AssignBuffers(graph, {}, context).ok());
  const Bytes needed = graph.device_bytes();
  EXPECT_TRUE(AssignBuffers(
                  graph, {.persistents = {}, .budgets = {needed, 0, 0}, .good_enough = {}}, context)
                  .ok());
  const Result<bool> refused = AssignBuffers(
      graph, {.persistents = {}, .budgets = {needed - 1, 0, 0}, .good_enough = {}}, context);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.status().code(), ErrorCode::kResources);
}

TEST(MemoryPlanning, AnOutputIsNotOverwrittenByTheLastNode) {
  TensorStore tensors;
  Graph graph = ParseGraph(
                    "wsir 1\n%x : f32[4] input\n"
                    "%y : f32[4] = Neg(%x) forward \"y\"\n"
                    "%z : f32[4] = Relu(%y) forward \"z\"\n"
                    "outputs %y, %z\n",
                    &tensors)
                    .value();
  const Liveness liveness = ComputeLiveness(graph).value();
  EXPECT_EQ(liveness.classes.size(), 3u);
  graph.outputs = {graph.FindValue("z")};
  EXPECT_EQ(ComputeLiveness(graph).value().classes.size(), 2u);
}

TEST(MemoryPlanning, AnUpdateThatCannotBeWrittenInPlaceIsRefused) {
  // The view of %s is read behind the node that overwrites %s.
  TensorStore tensors;
  const Result<Graph> graph = ParseGraph(
      "wsir 1\n%x : f32[4] input\n%s : f32[4] state\n"
      "%v : f32[2,2] = Reshape(%s) {shape=[2, 2]} forward \"v\"\n"
      "%n : f32[4] = MovingAverage(%s, %x) {momentum=0.5} forward \"n\"\n"
      "%y : f32[2,2] = Neg(%v) forward \"y\"\n"
      "outputs %y\nupdate %s <- %n\n",
      &tensors);
  ASSERT_TRUE(graph.ok()) << graph.status().message();
  const Result<Liveness> liveness = ComputeLiveness(*graph);
  ASSERT_FALSE(liveness.ok());
  EXPECT_EQ(liveness.status().message(), "%n cannot be written over %s: that is read later");
}

}  // namespace
}  // namespace wsi
