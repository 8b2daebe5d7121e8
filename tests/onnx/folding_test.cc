// Shape subgraphs fold while the model is imported, within a cap.
#include <gtest/gtest.h>

#include "tests/onnx/test_model.h"

namespace wsi {
namespace {

// As PyTorch's newer exporter writes a convolution's zero bias.
TEST(Folding, ExportersBiasSubgraphBecomesAConstant) {
  TestModel model(20);
  model.Input("x", {1, 2, 4, 4}).Output("y").Initializer(Zeros({3, 2, 1, 1}, "w"));
  model.Node("Shape", {"w"}, {"s"}, {A("start", 0), A("end", 1)});
  model.Node("Constant", {}, {"one"}, {A("value_ints", {1})});
  model.Node("Expand", {"s", "one"}, {"n"});
  model.Node("Constant", {}, {"zero"}, {A("value_float", 0.0F)});
  model.Node("CastLike", {"zero", "x"}, {"z"});
  model.Node("Expand", {"z", "n"}, {"b"});
  model.Node("Conv", {"x", "w", "b"}, {"y"});
  EXPECT_EQ(ImportNodes(model),
            "%y : f32[1,3,4,4] = Conv(%x, %w, %b) {dilations=[1, 1], group=1, kernel_shape=[1, 1], "
            "pads=[0, 0, 0, 0], strides=[1, 1]}\n");
}

// As PyTorch's older exporter writes x.view(x.size(0), -1).
TEST(Folding, ShapeGatherUnsqueezeConcatReshape) {
  TestModel model(13);
  model.Input("x", {-1, 2, 4, 4}).Output("y");
  model.Node("Shape", {"x"}, {"s"});
  model.Constant("zero", Ints({}, {0}));
  model.Node("Gather", {"s", "zero"}, {"n"}, {A("axis", 0)});
  model.Constant("axes", Ints({1}, {0}));
  model.Node("Unsqueeze", {"n", "axes"}, {"u"});
  model.Constant("rest", Ints({1}, {-1}));
  model.Node("Concat", {"u", "rest"}, {"shape"}, {A("axis", 0)});
  model.Node("Reshape", {"x", "shape"}, {"y"});
  ImportOptions options;
  options.batch = 3;
  EXPECT_EQ(ImportNodes(model, options), "%y : f32[3,32] = Reshape(%x) {shape=[3, 32]}\n");
}

TEST(Folding, RangeAndArithmeticGiveAxes) {
  TestModel model(20);
  model.Input("x", {2, 3, 4, 4}).Output("y");
  model.Constant("two", Ints({}, {2})).Constant("one", Ints({}, {1}));
  model.Node("Shape", {"x"}, {"s"}).Node("Size", {"s"}, {"rank"});
  model.Node("Range", {"two", "rank", "one"}, {"axes"});
  model.Node("ReduceMean", {"x", "axes"}, {"y"});
  EXPECT_EQ(ImportNodes(model), "%y : f32[2,3,1,1] = ReduceMean(%x) {axes=[2, 3], keepdims=1}\n");
}

TEST(Folding, EveryFormOfConstant) {
  const auto with = [](const onnx::AttributeProto& attribute) {
    TestModel model(13);
    model.Input("x", {2}).Output("y").Node("Constant", {}, {"c"}, {attribute});
    return ImportNodes(model.Node("Add", {"x", "c"}, {"y"}));
  };
  const std::string add = "%y : f32[2] = Add(%x, %c)\n";
  EXPECT_EQ(with(A("value", Floats({2}, {1, 2}))), add);
  EXPECT_EQ(with(A("value_float", 2.0F)), add);
  EXPECT_EQ(with(FloatList("value_floats", {1, 2})), add);
  EXPECT_EQ(with(A("value_string", "a")),
            "error: 1 problem: Constant 'c': value_string is not supported; numbers are");
  TestModel none(13);
  none.Input("x", {2}).Output("y").Node("Constant", {}, {"c"}).Node("Add", {"x", "c"}, {"y"});
  EXPECT_EQ(ImportNodes(none), "error: 1 problem: Constant 'c': has no value");
}

TEST(Folding, BombsStayNodesOrAreRefused) {
  const int64_t huge = int64_t{1} << 40;
  TestModel fill(13);
  fill.Input("x", {1}).Output("y").Constant("s", Ints({1}, {huge}));
  fill.Node("ConstantOfShape", {"s"}, {"c"}).Node("Add", {"x", "c"}, {"y"});
  EXPECT_EQ(ImportNodes(fill),
            "error: 1 problem: ConstantOfShape 'c': is supported only where its operands are "
            "constants and its result, 4.0 TiB, is below 64.0 MiB");
  TestModel expand(13);
  expand.Input("x", {1}).Output("y").Constant("s", Ints({1}, {huge}));
  expand.Constant("one", Floats({}, {1})).Node("Expand", {"one", "s"}, {"e"});
  expand.Node("Add", {"x", "e"}, {"y"});
  EXPECT_EQ(ImportNodes(expand),
            "%e : f32[1099511627776] = Expand(%one) {shape=[1099511627776]}\n"
            "%y : f32[1099511627776] = Add(%x, %e)\n");
  TestModel range(13);
  range.Input("x", {1}).Output("y").Constant("a", Ints({}, {0})).Constant("b", Ints({}, {huge}));
  range.Constant("d", Ints({}, {1})).Node("Range", {"a", "b", "d"}, {"r"});
  range.Node("Add", {"x", "r"}, {"y"});
  EXPECT_TRUE(ImportNodes(range).starts_with("error: 1 problem: Range 'r': is supported only"));
}

TEST(Folding, AllFoldedValuesTogetherAreCapped) {
  TestModel model(13);
  model.Input("x", {1}).Output("y5").Constant("s", Ints({1}, {200}));
  model.Constant("one", Floats({}, {1})).Node("Identity", {"x"}, {"y0"});
  for (int i = 1; i <= 5; ++i) {
    const std::string n = std::to_string(i);
    model.Node("Expand", {"one", "s"}, {"e" + n});
    model.Node("Add", {"y" + std::to_string(i - 1), "e" + n}, {"y" + n});
  }
  ImportOptions options;
  options.max_folded_bytes = 800;  // One value of 200 floats; four of them in all.
  const std::string nodes = ImportNodes(model, options);
  EXPECT_EQ(nodes.find("%e4 "), std::string::npos) << nodes;
  EXPECT_NE(nodes.find("%e5 : f32[200] = Expand"), std::string::npos) << nodes;
}

TEST(Folding, OverflowingShapesAreRefused) {
  TestModel model(13);
  const int64_t large = int64_t{1} << 40;
  model.Input("x", {1}).Output("y").Constant("s", Ints({2}, {large, large}));
  model.Node("Expand", {"x", "s"}, {"y"});
  EXPECT_TRUE(ImportNodes(model).starts_with("error: 1 problem: Expand 'y': "));
}

}  // namespace
}  // namespace wsi
