// If, Loop, model-local functions and sequences are gone after the import.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/onnx/test_model.h"

namespace wsi {
namespace {

using testing::HasSubstr;

void AddNode(onnx::GraphProto& graph, std::string_view op,
             std::initializer_list<std::string> inputs,
             std::initializer_list<std::string> outputs) {
  onnx::NodeProto& node = *graph.add_node();
  node.set_op_type(std::string(op));
  for (const std::string& input : inputs) node.add_input(input);
  for (const std::string& output : outputs) node.add_output(output);
}

void AddOutput(onnx::GraphProto& graph, const std::string& name) {
  graph.add_output()->set_name(name);
}

onnx::AttributeProto GraphAttribute(const std::string& name, const onnx::GraphProto& graph) {
  onnx::AttributeProto attribute;
  attribute.set_name(name);
  attribute.set_type(onnx::AttributeProto::GRAPH);
  *attribute.mutable_g() = graph;
  return attribute;
}

onnx::TensorProto Truth(bool value) {
  onnx::TensorProto truth;
  truth.set_data_type(onnx::TensorProto::BOOL);
  truth.add_int32_data(value ? 1 : 0);
  return truth;
}

TEST(Structure, IfKeepsTheBranchTaken) {
  onnx::GraphProto yes, no;
  AddNode(yes, "Relu", {"x"}, {"r"});
  AddOutput(yes, "r");
  AddNode(no, "Neg", {"x"}, {"r"});
  AddOutput(no, "r");
  for (const bool condition : {true, false}) {
    TestModel model(13);
    model.Input("x", {2}).Output("y").Constant("c", Truth(condition));
    model.Node("If", {"c"}, {"y"},
               {GraphAttribute("then_branch", yes), GraphAttribute("else_branch", no)});
    EXPECT_EQ(ImportNodes(model),
              condition ? "%y : f32[2] = Relu(%x)\n" : "%y : f32[2] = Neg(%x)\n");
  }
  TestModel open(13);
  open.Input("x", {2}).Input("c", {}, onnx::TensorProto::BOOL).Output("y");
  open.Node("If", {"c"}, {"y"},
            {GraphAttribute("then_branch", yes), GraphAttribute("else_branch", no)});
  EXPECT_THAT(ImportNodes(open), HasSubstr("If 'y': cond ('c') must be known at compile time"));
}

// carried = carried + x; scans carried.
onnx::GraphProto Adding() {
  onnx::GraphProto body;
  for (const char* input : {"i", "more", "v"}) body.add_input()->set_name(input);
  AddNode(body, "Identity", {"more"}, {"more_out"});
  AddNode(body, "Add", {"v", "x"}, {"v_out"});
  for (const char* output : {"more_out", "v_out", "v_out"}) AddOutput(body, output);
  return body;
}

TEST(Structure, LoopIsWrittenOut) {
  TestModel model(13);
  model.Input("x", {2}).Output("last").Output("all").Constant("n", Ints({}, {3}));
  model.Constant("c", Truth(true));
  model.Node("Loop", {"n", "c", "x"}, {"last", "all"}, {GraphAttribute("body", Adding())});
  const std::string nodes = ImportNodes(model);
  EXPECT_THAT(nodes, HasSubstr("%last : f32[2] = Add("));
  EXPECT_THAT(nodes, HasSubstr("%all : f32[3,2] = Concat("));
  TestModel open(13);
  open.Input("x", {2}).Input("n", {}, onnx::TensorProto::INT64).Output("last");
  open.Constant("c", Truth(true));
  open.Node("Loop", {"n", "c", "x"}, {"last"}, {GraphAttribute("body", Adding())});
  EXPECT_THAT(ImportNodes(open), HasSubstr("the trip count ('n') must be known at compile time"));
  TestModel endless(13);
  endless.Input("x", {2}).Output("last");
  endless.Node("Loop", {"", "", "x"}, {"last"}, {GraphAttribute("body", Adding())});
  EXPECT_THAT(ImportNodes(endless), HasSubstr("runs more than 10000 times"));
}

TEST(Structure, AFunctionBecomesItsNodes) {
  TestModel model(15);
  model.Input("x", {2}).Output("y").Node("Leaky", {"x"}, {"y"}, {A("slope", 0.25F)});
  model.graph().mutable_node(0)->set_domain("local");
  onnx::FunctionProto& function = *model.proto().add_functions();
  function.set_name("Leaky");
  function.set_domain("local");
  function.add_input("a");
  function.add_output("b");
  onnx::NodeProto& node = *function.add_node();
  node.set_op_type("LeakyRelu");
  node.add_input("a");
  node.add_output("b");
  onnx::AttributeProto& alpha = *node.add_attribute();
  alpha.set_name("alpha");
  alpha.set_type(onnx::AttributeProto::FLOAT);
  alpha.set_ref_attr_name("slope");
  EXPECT_EQ(ImportNodes(model), "%y : f32[2] = LeakyRelu(%x) {alpha=0.25}\n");
}

// A function of the model "f.Leaky", whose field attribute_proto says slope = 0.5.
onnx::FunctionProto& AddLeaky(TestModel& model, const std::string& overload, const char* op) {
  onnx::FunctionProto& function = *model.proto().add_functions();
  function.set_domain("f");
  function.set_name("Leaky");
  function.add_input("a");
  function.add_output("b");
  onnx::NodeProto& node = *function.add_node();
  node.set_op_type(op);
  node.add_input("a");
  node.add_output("b");
  onnx::AttributeProto& alpha = *node.add_attribute();
  alpha.set_name("alpha");
  alpha.set_type(onnx::AttributeProto::FLOAT);
  alpha.set_ref_attr_name("slope");
  // Fields that the generated classes do not know.
  function.mutable_unknown_fields()->AddLengthDelimited(11, A("slope", 0.5F).SerializeAsString());
  if (!overload.empty()) function.mutable_unknown_fields()->AddLengthDelimited(13, overload);
  return function;
}

TEST(Structure, FunctionsHaveDefaultsOfAttributesAndOverloads) {
  const auto nodes = [](std::initializer_list<onnx::AttributeProto> attributes,
                        const char* overload) {
    TestModel model(15);
    model.Input("x", {2}).Output("y");
    AddLeaky(model, "", "LeakyRelu");
    AddLeaky(model, "other", "Elu");
    model.Node("Leaky", {"x"}, {"y"}, attributes);
    onnx::NodeProto& call = *model.graph().mutable_node(0);
    call.set_domain("f");
    if (*overload != 0) call.mutable_unknown_fields()->AddLengthDelimited(8, overload);
    return ImportNodes(model);
  };
  EXPECT_EQ(nodes({}, ""), "%y : f32[2] = LeakyRelu(%x) {alpha=0.5}\n");
  EXPECT_EQ(nodes({A("slope", 0.25F)}, ""), "%y : f32[2] = LeakyRelu(%x) {alpha=0.25}\n");
  EXPECT_EQ(nodes({}, "other"), "%y : f32[2] = Elu(%x) {alpha=0.5}\n");
  EXPECT_THAT(nodes({}, "third"), HasSubstr("f.Leaky 'y': unsupported operator"));
}

TEST(Structure, SequencesAreTheirValues) {
  TestModel model(13);
  model.Input("x", {4, 3}).Output("y").Constant("two", Ints({}, {2})).Constant("p", Ints({}, {-1}));
  model.Node("SplitToSequence", {"x", "two"}, {"s"}, {A("axis", 0)});
  model.Node("SequenceAt", {"s", "p"}, {"y"});
  EXPECT_THAT(ImportNodes(model),
              HasSubstr("%y : f32[2,3] = Slice(%x) {axes=[0], ends=[4], starts=[2], steps=[1]}"));
  TestModel outside(13);
  outside.Input("x", {4, 3}).Output("y").Constant("p", Ints({}, {4}));
  outside.Node("SplitToSequence", {"x"}, {"s"}).Node("SequenceAt", {"s", "p"}, {"y"});
  EXPECT_THAT(ImportNodes(outside), HasSubstr("position is 4, the sequence has 4 values"));
  TestModel output(13);
  output.Input("x", {4, 3}).Output("s").Constant("two", Ints({}, {2}));
  output.Node("SplitToSequence", {"x", "two"}, {"t"}, {A("axis", 0)});
  output.Node("Identity", {"t"}, {"s"});
  EXPECT_EQ(ImportNodes(output),
            "%s.0 : f32[2,3] = Slice(%x) {axes=[0], ends=[2], starts=[0], steps=[1]}\n"
            "%s.1 : f32[2,3] = Slice(%x) {axes=[0], ends=[4], starts=[2], steps=[1]}\n");
}

}  // namespace
}  // namespace wsi
