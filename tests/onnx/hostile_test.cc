// Whatever the file holds: an error of kind 3, never a crash.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <limits>

#include "tests/base/temp_folder.h"
#include "tests/onnx/test_model.h"

namespace wsi {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

Status ImportBytes(const std::string& bytes) {
  const TempFolder folder;
  std::ofstream(folder.Path("m.onnx"), std::ios::binary) << bytes;
  TensorStore tensors;
  return ImportOnnx(folder.Path("m.onnx"), {}, &tensors).status();
}

TestModel Small() {
  TestModel model(15);
  model.Input("x", {1, 1, 4, 4}).Output("y");
  model.Initializer(Floats({1, 1, 1, 1}, {3}, "w")).Node("Conv", {"x", "w"}, {"y"});
  return model;
}

// With the weight in place of Small's.
std::string WithWeight(const onnx::TensorProto& weight) {
  TestModel model = Small();
  *model.graph().mutable_initializer(0) = weight;
  model.graph().mutable_initializer(0)->set_name("w");
  return ImportNodes(model);
}

TEST(Hostile, TruncationAtEveryByte) {
  const std::string bytes = Small().proto().SerializeAsString();
  ASSERT_TRUE(ImportBytes(bytes).ok());
  for (size_t length = 0; length < bytes.size(); ++length) {
    EXPECT_EQ(ImportBytes(bytes.substr(0, length)).code(), ErrorCode::kInvalidInput) << length;
  }
}

TEST(Hostile, EveryByteChanged) {
  const std::string bytes = Small().proto().SerializeAsString();
  for (size_t i = 0; i < bytes.size(); ++i) {
    for (const int flip : {0x01, 0x80, 0xFF}) {
      std::string changed = bytes;
      changed[i] = static_cast<char>(changed[i] ^ flip);
      const Status status = ImportBytes(changed);
      EXPECT_TRUE(status.ok() || status.code() == ErrorCode::kInvalidInput) << status.message();
    }
  }
}

TEST(Hostile, FilesThatAreNoModels) {
  EXPECT_THAT(ImportBytes("").message(), HasSubstr("is empty"));
  EXPECT_THAT(ImportBytes("not a model").message(), HasSubstr("no ONNX model"));
  TensorStore tensors;
  const TempFolder folder;
  EXPECT_EQ(ImportOnnx(folder.Path("none"), {}, &tensors).status().code(),
            ErrorCode::kInvalidInput);
  EXPECT_THAT(ImportOnnx(folder.Path("."), {}, &tensors).status().message(),
              HasSubstr("not a regular file"));
  ASSERT_EQ(::mkfifo(folder.Path("fifo").c_str(), 0600), 0);
  EXPECT_THAT(ImportOnnx(folder.Path("fifo"), {}, &tensors).status().message(),
              HasSubstr("not a regular file"));
}

TEST(Hostile, MoreThanTwoGibibytes) {
  const TempFolder folder;
  std::ofstream(folder.Path("m.onnx")) << "x";
  ASSERT_EQ(::truncate(folder.Path("m.onnx").c_str(), int64_t{3} << 30), 0);  // Sparse.
  TensorStore tensors;
  EXPECT_THAT(ImportOnnx(folder.Path("m.onnx"), {}, &tensors).status().message(),
              HasSubstr("an ONNX file holds at most 2 GiB"));
}

TEST(Hostile, MillionsOfEmptyMessages) {
  std::string graph;
  for (int i = 0; i < 5'000'000; ++i) graph += std::string("\x0a\x00", 2);  // node {}
  onnx::ModelProto outer;
  outer.mutable_graph()->set_name(graph);  // Its length, for the prefix.
  std::string bytes = "\x3a";
  for (size_t n = graph.size(); n > 0; n >>= 7) {
    bytes += static_cast<char>((n & 0x7F) | (n > 0x7F ? 0x80 : 0));
  }
  rusage before = {};
  ::getrusage(RUSAGE_SELF, &before);
  EXPECT_THAT(ImportBytes(bytes + graph).message(), HasSubstr("holds more than 4000000 messages"));
  rusage after = {};
  ::getrusage(RUSAGE_SELF, &after);
  EXPECT_LT(after.ru_maxrss - before.ru_maxrss, 64 * 1024);  // KiB; parsed it would be a gigabyte.
}

TEST(Hostile, SubgraphsNestedThousandsDeep) {
  onnx::GraphProto graph;
  graph.set_name("innermost");
  std::string bytes = graph.SerializeAsString();
  const auto wrap = [&](char tag) {
    std::string prefix(1, tag);
    for (size_t n = bytes.size(); n > 0; n >>= 7) {
      prefix += static_cast<char>((n & 0x7F) | (n > 0x7F ? 0x80 : 0));
    }
    bytes = prefix + bytes;
  };
  for (int i = 0; i < 3000; ++i) {
    wrap('\x32');  // AttributeProto.g
    wrap('\x2a');  // NodeProto.attribute
    wrap('\x0a');  // GraphProto.node
  }
  wrap('\x3a');  // ModelProto.graph
  EXPECT_THAT(ImportBytes(bytes).message(), HasSubstr("levels deep"));
}

TEST(Hostile, WeightsThatDoNotHoldTheirShape) {
  onnx::TensorProto raw = Floats({1, 1, 1, 1}, {});
  EXPECT_THAT(WithWeight(raw), HasSubstr("initializer 'w': holds no values"));
  raw.set_raw_data("abc");
  EXPECT_THAT(WithWeight(raw), HasSubstr("raw_data has 3 bytes, [1,1,1,1] of f32 want 4"));
  EXPECT_THAT(WithWeight(Floats({1, 1, 1, 1}, {1, 2})), HasSubstr("has 2 values"));
  onnx::TensorProto twice = Floats({1, 1, 1, 1}, {1});
  twice.set_raw_data("abcd");
  EXPECT_THAT(WithWeight(twice), HasSubstr("more than one field"));
  onnx::TensorProto wrong = Floats({1, 1, 1, 1}, {});
  wrong.add_int64_data(1);
  EXPECT_THAT(WithWeight(wrong), HasSubstr("has 0 values of its type f32"));
  onnx::TensorProto strings = Floats({1, 1, 1, 1}, {});
  strings.set_data_type(onnx::TensorProto::STRING);
  EXPECT_THAT(WithWeight(strings), HasSubstr("element type STRING is not supported"));
  onnx::TensorProto future = Floats({1, 1, 1, 1}, {1});
  future.set_data_type(99);
  EXPECT_THAT(WithWeight(future), HasSubstr("element type 99 is not supported"));
}

TEST(Hostile, ShapesThatOverflow) {
  const int64_t large = int64_t{1} << 32;
  EXPECT_THAT(WithWeight(Floats({large, large, large}, {1})), StartsWith("error: "));
  EXPECT_THAT(WithWeight(Floats({-1, 1, 1, 1}, {1})), StartsWith("error: "));
  onnx::TensorProto deep = Floats({}, {1});
  for (int i = 0; i < 65; ++i) deep.add_dims(1);
  EXPECT_THAT(WithWeight(deep), StartsWith("error: "));
  EXPECT_THAT(WithWeight(Floats({0, 1, 1, 1}, {})), StartsWith("error: "));
  TestModel zero = Small();
  zero.graph()
      .mutable_input(0)
      ->mutable_type()
      ->mutable_tensor_type()
      ->mutable_shape()
      ->mutable_dim(2)
      ->set_dim_value(0);
  EXPECT_THAT(ImportNodes(zero), HasSubstr("wants sizes of at least 1"));
}

TEST(Hostile, CyclesAndDuplicates) {
  TestModel self(13);
  self.Input("x", {1}).Output("y").Node("Add", {"x", "y"}, {"y"});
  EXPECT_THAT(ImportNodes(self), HasSubstr("reads 'y', which no input"));
  TestModel cycle(13);
  cycle.Input("x", {1}).Output("y").Node("Add", {"x", "b"}, {"a"}).Node("Relu", {"a"}, {"b"});
  cycle.Node("Relu", {"b"}, {"y"});
  EXPECT_THAT(ImportNodes(cycle), HasSubstr("reads 'b', which no input"));
  TestModel twice(13);
  twice.Input("x", {1}).Output("y").Node("Relu", {"x"}, {"y"}).Node("Relu", {"x"}, {"y"});
  EXPECT_THAT(ImportNodes(twice), HasSubstr("has that name already"));
  EXPECT_THAT(ImportNodes(Small().Initializer(Zeros({1}, "w"))), HasSubstr("is there twice"));
  EXPECT_THAT(ImportNodes(Small().Output("none")), HasSubstr("output 'none': no node gives it"));
}

TEST(Hostile, VersionsAndDomains) {
  for (const int64_t opset : {int64_t{6}, int64_t{29}, std::numeric_limits<int64_t>::max()}) {
    TestModel model = Small();
    model.proto().mutable_opset_import(0)->set_version(opset);
    EXPECT_THAT(ImportNodes(model), HasSubstr("7 to 28 are read")) << opset;
  }
  TestModel none = Small();
  none.proto().clear_opset_import();
  EXPECT_THAT(ImportNodes(none), HasSubstr("states 0 versions"));
  TestModel old = Small();
  old.proto().set_ir_version(2);
  EXPECT_THAT(ImportNodes(old), HasSubstr("IR version is 2"));
  TestModel future = Small();
  future.proto().set_ir_version(1000);
  EXPECT_THAT(ImportNodes(future), StartsWith("%y : f32[1,1,4,4] = Conv"));
}

// Calls itself twice, so that writing it out never ends.
TEST(Hostile, RecursiveFunctionsEnd) {
  TestModel model(15);
  model.Input("x", {1}).Output("y").Node("F", {"x"}, {"y"});
  model.graph().mutable_node(0)->set_domain("local");
  onnx::FunctionProto& function = *model.proto().add_functions();
  function.set_name("F");
  function.set_domain("local");
  function.add_input("a");
  function.add_output("c");
  for (const auto& [from, to] : {std::pair("a", "b"), std::pair("b", "c")}) {
    onnx::NodeProto& node = *function.add_node();
    node.set_op_type("F");
    node.set_domain("local");
    node.add_input(from);
    node.add_output(to);
  }
  EXPECT_THAT(ImportNodes(model), HasSubstr("calls functions more than 32 deep"));
}

TEST(Hostile, NamesWithControlCharacters) {
  TestModel model(13);
  model.Input("x", {1}).Output("y\n").Node("Relu", {"x"}, {"y\n"});
  const std::string message = ImportNodes(model);
  EXPECT_THAT(message, HasSubstr("Relu 'y\\x0a': its name or that of an output holds control"));
  EXPECT_EQ(message.find('\n'), std::string::npos);
  TestModel weird(13);
  weird.Input("../x", {1}).Output("../../y").Node("Relu", {"../x"}, {"../../y"});
  EXPECT_EQ(ImportNodes(weird), "%../../y : f32[1] = Relu(%../x)\n");
}

}  // namespace
}  // namespace wsi
