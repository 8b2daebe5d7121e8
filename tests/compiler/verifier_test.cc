#include "compiler/ir/verifier.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "compiler/ir/text.h"

namespace wsi {
namespace {

using testing::HasSubstr;

// A training step in small, with buffers: a view, an operator in place, a workspace and
// a state that is updated where it lies.
constexpr std::string_view kValid =
    "wsir 1\n"
    "graph \"step\"\n"
    "%x : f32[2,2] @2 input\n"
    "%lr : f32[] @5 scalar\n"
    "%w : f32[4] @0 parameter\n"
    "%old : f32[2,2] @1 state\n"
    "%flat : f32[4] @2 = Reshape(%x) {shape=[4]} forward \"flat\" workspace 8 @4\n"
    "%sum : f32[4] @3 = Add(%flat, %w) forward \"sum\"\n"
    "%y : f32[4] @3 = Relu(%sum) forward \"relu\"\n"
    "%loss : f32[] @6 = ReduceMean(%y) {axes=[0], keepdims=0} forward \"loss\"\n"
    "%g : f32[4] @7 = Mul(%y, %y) backward \"g\"\n"
    "%w2 : f32[4] @0 = SgdUpdate(%w, %g, %lr) {weight_decay=0.0} update \"sgd\"\n"
    "%new : f32[2,2] @1 = MovingAverage(%old, %x) {momentum=0.5} update \"mean\"\n"
    "outputs %y\n"
    "loss %loss\n"
    "update %w <- %w2\n"
    "update %old <- %new\n"
    "gradient %w <- %g\n"
    "arena 2048\n"
    "buffer @0 device offset 0 size 16 live [0,7)\n"
    "buffer @1 device offset 256 size 16 live [0,7)\n"
    "buffer @2 device offset 512 size 16 live [0,7)\n"
    "buffer @3 device offset 768 size 16 live [1,7)\n"
    "buffer @4 device offset 1024 size 8 live [0,1)\n"
    "buffer @5 device offset 1280 size 4 live [0,6)\n"
    "buffer @6 device offset 1536 size 4 live [3,7)\n"
    "buffer @7 device offset 1792 size 16 live [4,6)\n";

// kValid with one piece of text replaced by another.
std::string With(std::string_view from, std::string_view to) {
  std::string text(kValid);
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  if (at != std::string::npos) text.replace(at, from.size(), to);
  return text;
}

std::string Verify(std::string_view text) {
  TensorStore tensors;
  const Result<Graph> graph = ParseGraph(text, &tensors);
  EXPECT_TRUE(graph.ok()) << graph.status().message();
  return graph.ok() ? VerifyGraph(*graph).message() : "";
}

TEST(Verifier, AcceptsAValidGraph) { EXPECT_EQ(Verify(kValid), ""); }

TEST(Verifier, Operators) {
  EXPECT_THAT(Verify(With("Relu(%sum)", "Rilu(%sum)")), HasSubstr("no such operator"));
  EXPECT_THAT(Verify(With("Relu(%sum)", "Relu(%sum, %w)")), HasSubstr("has 2 inputs"));
  EXPECT_THAT(Verify(With("Relu(%sum)", "Relu(_)")), HasSubstr("lacks input 0"));
  EXPECT_THAT(Verify(With("%y : f32[4]", "%y : f32[4,1]")),
              HasSubstr("output %y is f32[4,1], but the operator gives f32[4]"));
  EXPECT_THAT(Verify(With("%y : f32[4]", "%y : f64[4]")), HasSubstr("output %y is f64[4]"));
  EXPECT_THAT(Verify(With("%y : f32[4] @3 =", "%y : f32[4] @3, _ =")), HasSubstr("has 2 outputs"));
  EXPECT_THAT(Verify(With("axes=[0]", "axes=[7]")), HasSubstr("ReduceMean 'loss'"));
}

TEST(Verifier, RolesAndTensors) {
  EXPECT_THAT(Verify(With("f32[] @5 scalar", "f32[1] @5 scalar permute [0]")),
              HasSubstr("permutation"));
  EXPECT_THAT(Verify(With("@2 input", "@2 input tensor \"t\"")), HasSubstr("does not persist"));
  EXPECT_THAT(Verify(With("@0 parameter", "@0 constant tensor \"t\" = f32[3] [1.0,2.0,3.0]")),
              HasSubstr("%w has shape [4], but its tensor 't' has [3]"));
}

TEST(Verifier, Results) {
  EXPECT_THAT(Verify(With("loss %loss\n", "loss %y\n")), HasSubstr("the loss %y is f32[4]"));
  EXPECT_THAT(Verify(With("gradient %w <- %g", "gradient %w <- %loss")), HasSubstr("no gradient"));
  EXPECT_THAT(Verify(With("gradient %w <- %g", "gradient %old <- %x")), HasSubstr("no gradient"));
}

TEST(Verifier, Updates) {
  EXPECT_THAT(Verify(With("update %old <- %new", "update %x <- %new")),
              HasSubstr("%x is updated, but is no parameter or state"));
  EXPECT_THAT(Verify(With("update %old <- %new", "update %old <- %x")), HasSubstr("no node makes"));
  EXPECT_THAT(Verify(With("update %old <- %new", "update %old <- %y")), HasSubstr("%old is f32"));
  EXPECT_THAT(Verify(With("update %old <- %new", "update %w <- %w2")), HasSubstr("two updates"));
  EXPECT_THAT(Verify(With("MovingAverage(%old, %x)", "MovingAverage(%x, %old)")),
              HasSubstr("cannot update %old in place"));
  EXPECT_THAT(Verify(With("%new : f32[2,2] @1 = MovingAverage(%old, %x) {momentum=0.5}",
                          "%z : f32[4] @7 = Neg(%w) update \"z\"\n"
                          "%new : f32[2,2] @1 = MovingAverage(%old, %x) {momentum=0.5}")),
              HasSubstr("Neg 'z' reads %w behind SgdUpdate 'sgd', which updates it"));
}

TEST(Verifier, BuffersInBounds) {
  EXPECT_THAT(Verify(With("arena 2048", "arena 2047")), testing::IsEmpty());
  EXPECT_THAT(Verify(With("arena 2048", "arena 1807")), HasSubstr("buffer @7"));
  EXPECT_THAT(Verify(With("offset 512", "offset 513")), HasSubstr("buffer @2"));
  EXPECT_THAT(Verify(With("offset 768 size 16", "offset 768 size 15")),
              HasSubstr("%sum needs 16 bytes, its buffer @3 has 15"));
  EXPECT_THAT(Verify(With("%y : f32[4] @3", "%y : f32[4]")), HasSubstr("%y has no buffer"));
  EXPECT_THAT(Verify(With("workspace 8 @4", "workspace 8")), HasSubstr("workspace has no buffer"));
  EXPECT_THAT(Verify(With("workspace 8 @4", "workspace 9 @4")), HasSubstr("needs 9 bytes"));
}

TEST(Verifier, BuffersLiveLongEnough) {
  EXPECT_THAT(Verify(With("live [4,6)", "live [4,5)")), HasSubstr("%g is needed at steps [4,6)"));
  EXPECT_THAT(Verify(With("live [4,6)", "live [5,6)")), HasSubstr("%g is needed at steps [4,6)"));
  EXPECT_THAT(Verify(With("size 16 live [0,7)", "size 16 live [0,6)")), HasSubstr("%w is needed"));
  EXPECT_THAT(Verify(With("live [1,7)", "live [1,5)")), HasSubstr("%y is needed"));
  EXPECT_THAT(Verify(With("live [0,1)", "live [1,2)")), HasSubstr("workspace @4"));
}

TEST(Verifier, BuffersDoNotOverlap) {
  EXPECT_THAT(Verify(With("offset 1792", "offset 1536")), HasSubstr("buffers @6 and @7 overlap"));
  // Apart in time.
  EXPECT_EQ(Verify(With("offset 1792", "offset 1024")), "");
}

TEST(Verifier, SharingABufferNeedsPermission) {
  // A view elsewhere; an update elsewhere; something else in a persistent buffer.
  EXPECT_THAT(Verify(With("%flat : f32[4] @2", "%flat : f32[4] @7")), testing::Not(""));
  EXPECT_THAT(Verify(With("%new : f32[2,2] @1", "%new : f32[2,2] @2")), testing::Not(""));
  EXPECT_THAT(Verify(With("%sum : f32[4] @3", "%sum : f32[4] @1")), testing::Not(""));
  // %y outlives %g's making, and Mul may not write over an output of the graph.
  EXPECT_THAT(Verify(With("%g : f32[4] @7", "%g : f32[4] @3")), HasSubstr("share buffer @3"));
  // %x is read by MovingAverage later than Add is done.
  EXPECT_THAT(Verify(With("%sum : f32[4] @3", "%sum : f32[4] @2")), HasSubstr("share buffer @2"));
}

// What no text can say is said through the API.
class VerifierApi : public testing::Test {
 protected:
  VerifierApi() : graph_(ParseGraph(kValid, &tensors_).value()) {}
  ValueId Find(std::string_view name) { return graph_.FindValue(name); }
  Node& ProducerOf(std::string_view name) { return graph_.node(graph_.value(Find(name)).producer); }
  std::string Error() { return VerifyGraph(graph_).message(); }

  TensorStore tensors_;
  Graph graph_;
};

TEST_F(VerifierApi, OrderIsTopological) {
  std::vector<NodeId> order = graph_.order();
  std::swap(order[1], order[2]);
  graph_.SetOrder(order);
  EXPECT_THAT(Error(), HasSubstr("Relu 'relu': reads %sum before it is made"));
}

TEST_F(VerifierApi, OrderRunsNodesThatExistOnce) {
  std::vector<NodeId> order = graph_.order();
  order.push_back(order[0]);
  graph_.SetOrder(order);
  EXPECT_THAT(Error(), HasSubstr("runs twice"));
  order.back() = NodeId{99};
  graph_.SetOrder(order);
  EXPECT_THAT(Error(), HasSubstr("runs node 99"));
}

TEST_F(VerifierApi, DeadProducersAreMissed) {
  std::vector<NodeId> order = graph_.order();
  order.erase(order.begin() + 3);
  graph_.SetOrder(order);
  EXPECT_THAT(Error(), HasSubstr("the loss %loss is never made"));
}

TEST_F(VerifierApi, ValuesAreMadeOnce) {
  ProducerOf("y").outputs[0] = Find("sum");
  EXPECT_THAT(Error(), HasSubstr("output 0 is not a value of its own"));
}

TEST_F(VerifierApi, ReferencesAreInRange) {
  ProducerOf("y").inputs[0] = ValueId{1000};
  EXPECT_THAT(Error(), HasSubstr("input 0 is no value"));
}

TEST_F(VerifierApi, RolesAgreeWithProducers) {
  graph_.value(Find("x")).role = Role::kIntermediate;
  EXPECT_THAT(Error(), HasSubstr("%x has no producer"));
  graph_.value(Find("x")).role = Role::kInput;
  graph_.value(Find("x")).producer = NodeId{0};
  EXPECT_THAT(Error(), HasSubstr("%x is not made by a node"));
}

TEST_F(VerifierApi, NamesAreUnique) {
  graph_.value(Find("y")).name = "sum";
  EXPECT_THAT(Error(), HasSubstr("called 'sum'"));
}

TEST_F(VerifierApi, PermutationsArePermutations) {
  graph_.value(Find("old")).permutation = {0, 0};
  EXPECT_THAT(Error(), HasSubstr("axis 0 in its permutation"));
  graph_.value(Find("old")).permutation = {1, 0, 2};
  EXPECT_THAT(Error(), HasSubstr("permutation of 3 axes for rank 2"));
}

TEST(Verifier, AStateMayBeUpdatedTwiceInOrder) {
  constexpr std::string_view kAccumulate =
      "wsir 1\n"
      "%g : f32[4] input\n"
      "%sum : f32[4] state\n"
      "%sum.1 : f32[4] = AccumulateGrad(%sum, %g) backward \"add\"\n"
      "%y : f32[4] = Neg(%sum.1) update \"use\"\n"
      "%sum.2 : f32[4] = Fill() {dtype=\"f32\", shape=[4], value=0.0} update \"reset\"\n"
      "outputs %y\n";
  const std::string text(kAccumulate);
  EXPECT_EQ(Verify(text + "update %sum <- %sum.1\nupdate %sum <- %sum.2\n"), "");
  EXPECT_THAT(Verify(text + "update %sum <- %sum.2\nupdate %sum <- %sum.1\n"),
              HasSubstr("not in the order of their nodes"));
}

}  // namespace
}  // namespace wsi
