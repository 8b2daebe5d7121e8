// Inputs, roles of initializers, options, and how problems are reported.
#include "frontends/onnx/import.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/base/temp_folder.h"
#include "tests/onnx/test_model.h"

namespace wsi {
namespace {

struct Imported {
  TensorStore tensors;
  Result<Graph> graph = InternalError("not imported");
  const Value& value(std::string_view name) const { return graph->value(graph->FindValue(name)); }
};

void Import(const TestModel& model, const ImportOptions& options, Imported& imported) {
  const TempFolder folder;
  model.Save(folder.Path("m.onnx"));
  imported.graph = ImportOnnx(folder.Path("m.onnx"), options, &imported.tensors);
  ASSERT_TRUE(imported.graph.ok()) << imported.graph.status().message();
}

TEST(Import, OldOpsetsAreReadWhereEveryOperatorMeansTheSame) {
  TestModel model(1);
  model.Input("x", {2}).Output("y").Node("Relu", {"x"}, {"t"}).Node("Neg", {"t"}, {"y"});
  EXPECT_THAT(ImportNodes(model), testing::HasSubstr("%y : f32[2] = Neg("));
  model.Node("Softmax", {"y"}, {"s"});
  EXPECT_THAT(ImportNodes(model), testing::HasSubstr("its opset is 1; 7 to 28 are read"));
}

// x -> Conv(w, b) -> BatchNormalization -> y, one channel.
TestModel ConvNorm() {
  TestModel model(15);
  model.Input("x", {-1, 1, -1, -1}).Output("y");
  model.Initializer(Floats({1, 1, 1, 1}, {3}, "conv.weight"));
  for (const char* name : {"bn.weight", "bn.bias", "bn.mean", "bn.var"}) {
    model.Initializer(Floats({1}, {2}, name));
  }
  model.Node("Conv", {"x", "conv.weight"}, {"c"});
  model.Node("BatchNormalization", {"c", "bn.weight", "bn.bias", "bn.mean", "bn.var"}, {"y"});
  return model;
}

ImportOptions Sized() {
  ImportOptions options;
  options.input_size = {4, 6};
  return options;
}

TEST(Import, RolesKeysAndShapesOfInitializers) {
  Imported imported;
  Import(ConvNorm(), Sized(), imported);
  EXPECT_EQ(imported.value("conv.weight").role, Role::kParameter);
  EXPECT_EQ(imported.value("conv.weight").tensor, "conv.weight");
  EXPECT_EQ(imported.value("conv.weight").shape, (Shape{1, 1, 1, 1}));
  EXPECT_EQ(imported.value("bn.bias").role, Role::kParameter);
  EXPECT_EQ(imported.value("bn.mean").role, Role::kState);
  EXPECT_EQ(imported.value("bn.var").role, Role::kState);
  EXPECT_EQ(imported.value("x").role, Role::kInput);
  EXPECT_EQ(imported.value("x").shape, (Shape{1, 1, 4, 6}));
  EXPECT_EQ(imported.tensors.Find("conv.weight")->ToDoubles(), std::vector<double>{3});
}

TEST(Import, InitializersThatAreInputsAreInitializers) {
  TestModel model = ConvNorm();
  model.proto().set_ir_version(3);
  model.Input("conv.weight", {1, 1, 1, 1});
  Imported imported;
  Import(model, Sized(), imported);
  EXPECT_EQ(imported.value("conv.weight").role, Role::kParameter);
}

TEST(Import, FreezeMakesParametersConstant) {
  ImportOptions options = Sized();
  options.freeze = "conv\\..*|bn\\.b.*";
  Imported imported;
  Import(ConvNorm(), options, imported);
  EXPECT_EQ(imported.value("conv.weight").role, Role::kConstant);
  EXPECT_EQ(imported.value("bn.bias").role, Role::kConstant);
  EXPECT_EQ(imported.value("bn.weight").role, Role::kParameter);
  EXPECT_EQ(imported.value("bn.mean").role, Role::kState);
  options.freeze = "(";
  TensorStore tensors;
  EXPECT_EQ(ImportOnnx("none.onnx", options, &tensors).status().code(), ErrorCode::kUsage);
}

TEST(Import, WeightsReplaceContents) {
  WeightMap weights;
  weights.emplace("conv.weight", Tensor::Of<double>({1, 1, 1, 1}, std::vector<double>{7}));
  weights.emplace("bn.num_batches_tracked", Tensor::Of<int64_t>(Shape(), std::vector<int64_t>{1}));
  ImportOptions options = Sized();
  options.weights = &weights;
  TestModel model = ConvNorm();
  model.graph().mutable_initializer(0)->clear_float_data();  // Stripped.
  Imported imported;
  Import(model, options, imported);
  EXPECT_EQ(imported.tensors.Find("conv.weight")->dtype(), DType::kF32);
  EXPECT_EQ(imported.tensors.Find("conv.weight")->ToDoubles(), std::vector<double>{7});
  EXPECT_EQ(imported.tensors.Find("bn.weight")->ToDoubles(), std::vector<double>{2});
}

TEST(Import, WeightsThatDoNotFitAreListed) {
  WeightMap weights;
  weights.emplace("conv.weight", Tensor::Of<float>({1}, std::vector<float>{7}));
  weights.emplace("fc.weight", Tensor::Of<float>({1}, std::vector<float>{7}));
  ImportOptions options = Sized();
  options.weights = &weights;
  EXPECT_EQ(ImportNodes(ConvNorm(), options),
            "error: 2 problems: weights 'fc.weight': the model has no initializer of this name "
            "(give the weights of this model, under its initializers' names); initializer "
            "'conv.weight': the weights given have shape [1], the model's [1,1,1,1]");
}

TEST(Import, Float64TurnsEveryFloatValueButNoParameterTensor) {
  ImportOptions options = Sized();
  options.all_float64 = true;
  TestModel model(15);
  model.Input("x", {2}).Output("y").Initializer(Floats({2}, {1, 2}, "w"));
  model.Constant("c", Floats({2}, {1, 2})).Node("Add", {"x", "w"}, {"a"});
  model.Node("Mul", {"a", "c"}, {"m"}).Node("Cast", {"m"}, {"y"}, {A("to", 1)});
  Imported imported;
  Import(model, options, imported);
  for (const char* name : {"x", "w", "c", "a", "y"}) {
    EXPECT_EQ(imported.value(name).dtype, DType::kF64) << name;
  }
  EXPECT_EQ(imported.tensors.Find("w")->dtype(), DType::kF32);
  EXPECT_EQ(imported.graph->ConstantTensor(imported.graph->FindValue("c"))->dtype(), DType::kF64);
}

TEST(Import, IdentityIsAnotherNameSoTiedWeightsStayOneParameter) {
  TestModel model(15);
  model.Input("x", {2}).Output("y").Initializer(Floats({2}, {1, 2}, "w"));
  model.Node("Identity", {"w"}, {"w2"}).Node("Add", {"x", "w"}, {"a"});
  model.Node("Mul", {"a", "w2"}, {"y"});
  EXPECT_EQ(ImportNodes(model), "%a : f32[2] = Add(%x, %w)\n%y : f32[2] = Mul(%a, %w)\n");
}

TEST(Import, SharedStatisticsBecomeStateOfEachLayer) {
  TestModel model(15);
  model.Input("x", {1, 2, 3, 3}).Output("y").Initializer(Zeros({2}, "zero"));
  model.Initializer(Zeros({2}, "one")).Node("Identity", {"zero"}, {"b.mean"});
  model.Node("BatchNormalization", {"x", "one", "zero", "zero", "one"}, {"a"});
  model.Node("BatchNormalization", {"a", "one", "zero", "b.mean", "one"}, {"y"});
  Imported imported;
  Import(model, {}, imported);
  EXPECT_EQ(imported.value("zero").role, Role::kParameter);
  for (const char* name : {"zero.1", "one.1", "b.mean", "one.2"}) {
    EXPECT_EQ(imported.value(name).role, Role::kState) << name;
    EXPECT_NE(imported.tensors.Find(name), nullptr) << name;
  }
}

TEST(Import, TargetOfALossInTheModel) {
  TestModel model(13);
  model.Input("x", {2, 5}).Input("t", {2}, onnx::TensorProto::INT64).Output("y");
  model.Node("SoftmaxCrossEntropyLoss", {"x", "t"}, {"y"});
  Imported imported;
  Import(model, {}, imported);
  EXPECT_EQ(imported.value("t").role, Role::kTarget);
  EXPECT_EQ(ImportNodes(model),
            "%y : f32[] = SoftmaxCrossEntropyLoss(%x, %t) {reduction=\"mean\"}\n");
}

TEST(Import, OutputsKeepTheirNames) {
  TestModel model(13);
  model.Input("x", {2}).Output("y").Output("z").Output("p");
  model.Node("Relu", {"x"}, {"r"}).Node("Identity", {"r"}, {"y"}).Node("Identity", {"r"}, {"z"});
  model.Node("Identity", {"x"}, {"p"});
  EXPECT_EQ(ImportNodes(model),
            "%y : f32[2] = Relu(%x)\n%z : f32[2] = Identity(%y)\n%p : f32[2] = Identity(%x)\n");
}

TEST(Import, SizesThatCannotBeBound) {
  EXPECT_EQ(ImportNodes(ConvNorm()),
            "error: 1 problem: input 'x': the size of axis 2 ('s2') is not known (try --input-size "
            "HxW and --batch N)");
  TestModel shapeless(13);
  shapeless.Input("x", {1}).Output("y").Node("Relu", {"x"}, {"y"});
  shapeless.graph().mutable_input(0)->mutable_type()->mutable_tensor_type()->clear_shape();
  EXPECT_EQ(ImportNodes(shapeless),
            "error: 1 problem: input 'x': states no shape, not even how many axes it has (try "
            "--input-size HxW and --batch N)");
}

// What is behind a Flatten fits one size.
TEST(Import, AnotherSizeThanTheWeightsAreMadeFor) {
  const auto model = [](int64_t side) {
    TestModel flat(13);
    flat.Input("x", {1, 1, side, side}).Output("y").Initializer(Zeros({9, 2}, "w"));
    flat.Node("Flatten", {"x"}, {"f"}).Node("MatMul", {"f", "w"}, {"y"});
    return flat;
  };
  const std::string problem =
      "error: 1 problem: MatMul 'y': shapes [1,24] and [9,2] disagree on the inner size: 24 and 9";
  EXPECT_EQ(ImportNodes(model(3), Sized()),
            problem + " (the model is made for images of 3x3, not for --input-size 4x6)");
  EXPECT_EQ(ImportNodes(model(-1), Sized()),
            problem + " (its weights may be made for another size than --input-size 4x6)");
}

// One symbol, bound by --batch where it is axis 0, has that size elsewhere, too.
TEST(Import, SymbolsBindAlikeEverywhere) {
  const auto model = [](int64_t fixed) {
    TestModel both(13);
    both.Input("a", {-1, 1}).Input("b", {1, -1}).Output("y").Node("Add", {"a", "b"}, {"y"});
    const auto axis = [&](int input, int index) {
      return both.graph()
          .mutable_input(input)
          ->mutable_type()
          ->mutable_tensor_type()
          ->mutable_shape()
          ->mutable_dim(index);
    };
    axis(0, 0)->set_dim_param("k");
    axis(1, 1)->set_dim_param("k");
    if (fixed > 0) axis(1, 0)->set_dim_param("k");
    return both;
  };
  EXPECT_EQ(ImportNodes(model(0)), "%y : f32[1,1] = Add(%a, %b)\n");
  ImportOptions options;
  options.batch = 3;
  EXPECT_EQ(ImportNodes(model(1), options), "%y : f32[3,3] = Add(%a, %b)\n");
}

TEST(Import, AllProblemsAtOnce) {
  TestModel model(13);
  model.Input("x", {1, 2}).Output("y");
  model.Node("Det", {"x"}, {"a"}).Node("Foo", {"a"}, {"b"}).Node("Det", {"b"}, {"c"});
  model.Node("Relu", {"c"}, {"d"}).Node("Flatten", {"x"}, {"e"}, {A("axis", 5)});
  model.Node("Add", {"d", "missing"}, {"y"});
  model.graph().mutable_node(1)->set_domain("com.example");
  EXPECT_EQ(ImportNodes(model),
            "error: 5 problems: Det 'a', 'c': unsupported operator; com.example.Foo 'b': "
            "unsupported operator; Flatten 'e': axis is 5, the input has 2 axes; Add 'y': reads "
            "'missing', which no "
            "input, initializer or earlier node gives");
}

TEST(Import, CheckListsWhatImportRefuses) {
  const TempFolder folder;
  TestModel model(13);
  model.Input("x", {1, 2}).Output("y").Node("Det", {"x"}, {"a"}).Node("Foo", {"a"}, {"y"});
  model.Save(folder.Path("m.onnx"));
  const auto problems = CheckOnnx(folder.Path("m.onnx"), {});
  ASSERT_TRUE(problems.ok());
  ASSERT_EQ(problems->size(), 2U);
  EXPECT_EQ((*problems)[0].ToString(), "Det 'a': unsupported operator");
  EXPECT_EQ((*problems)[1].node, "y");
}

}  // namespace
}  // namespace wsi
