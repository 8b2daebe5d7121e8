// What the reference refuses, and its lanes.
#include "runtime/backends/reference/reference_backend.h"

#include <gtest/gtest.h>

#include <limits>

#include "runtime/base/tensor.h"

namespace wsi {
namespace {

using Ints = std::vector<int64_t>;

struct Spec {
  std::string op;
  Attributes attributes;
  std::vector<OperandSpec> inputs;
  std::vector<OperandSpec> outputs;
};

OperandSpec Floats(Shape shape) { return {true, DType::kF64, std::move(shape)}; }

// The message with which the launch is refused; empty if it is not.
std::string Refusal(const Spec& spec) {
  const std::unique_ptr<Backend> backend = MakeReferenceBackend();
  const auto kernel =
      backend->Compile({spec.op, "layer1", spec.attributes, spec.inputs, spec.outputs});
  if (kernel.ok()) return "";
  EXPECT_EQ(kernel.status().code(), ErrorCode::kInvalidInput);
  return kernel.status().message();
}

Attributes ConvAttributes() {
  return {{"kernel_shape", Ints{3, 3}}, {"strides", Ints{1, 1}}, {"dilations", Ints{1, 1}},
          {"pads", Ints{1, 1, 1, 1}},   {"group", int64_t{1}},   {"channels_last", int64_t{1}}};
}

Spec GoodConv() {
  return {"Conv",
          ConvAttributes(),
          {Floats({1, 5, 5, 2}), Floats({4, 3, 3, 2})},
          {Floats({1, 5, 5, 4})}};
}

// 1/3 and what becomes of it where it is stored as `dtype`.
double ThirdIn(DType dtype) {
  return Tensor::Of<double>({1}, std::vector<double>{1.0 / 3}).Cast(dtype)->ToDoubles()[0];
}

// What the reference gives for one launch.
Result<Tensor> Launched(const Spec& spec, const std::vector<const Tensor*>& inputs) {
  const std::unique_ptr<Backend> backend = MakeReferenceBackend();
  WSI_ASSIGN_OR_RETURN(
      const std::unique_ptr<Kernel> kernel,
      backend->Compile({spec.op, "layer1", spec.attributes, spec.inputs, spec.outputs}));
  WSI_ASSIGN_OR_RETURN(Tensor result, Tensor::Make(spec.outputs[0].dtype, spec.outputs[0].shape));
  std::vector<const std::byte*> in;
  for (const Tensor* input : inputs) in.push_back(input->bytes().data());
  std::byte* out[] = {result.bytes().data()};
  WSI_RETURN_IF_ERROR(kernel->Run({in, out}));
  return result;
}

TEST(ReferenceBackend, RoundsOnceWhateverTheStorage) {
  for (const DType dtype : {DType::kF32, DType::kF16, DType::kBF16}) {
    const OperandSpec stored{true, dtype, {1}};
    const Tensor one = *Tensor::Of<double>({1}, std::vector<double>{1}).Cast(dtype);
    const Tensor three = *Tensor::Of<double>({1}, std::vector<double>{3}).Cast(dtype);
    const Result<Tensor> third = Launched({"Div", {}, {stored, stored}, {stored}}, {&one, &three});
    ASSERT_TRUE(third.ok()) << third.status().message();
    EXPECT_EQ(third->ToDoubles()[0], ThirdIn(dtype)) << DTypeName(dtype);
  }
}

TEST(ReferenceBackend, SumsHalvesIntoSinglePrecision) {
  const Tensor halves = *Tensor::Of<double>({2}, std::vector<double>{2048, 1}).Cast(DType::kF16);
  const Attributes attributes = {{"axes", Ints{0}}, {"dtype", std::string("f32")}};
  Spec spec{"ReduceSum", attributes, {{true, DType::kF16, {2}}}, {{true, DType::kF32, {1}}}};
  const Result<Tensor> sum = Launched(spec, {&halves});
  ASSERT_TRUE(sum.ok()) << sum.status().message();
  EXPECT_EQ(sum->ToDoubles()[0], 2049) << "in half precision it is 2048";
  spec.outputs[0].dtype = DType::kF16;
  EXPECT_EQ(Refusal(spec),
            "ReduceSum 'layer1' on reference: attribute dtype is not the output's type");
}

TEST(ReferenceBackend, SaysWhyAnOperatorHasNoKernel) {
  EXPECT_EQ(Refusal({"BatchNormTrain", {}, {}, {}}),
            "BatchNormTrain 'layer1' on reference: no kernel: a plan launches BatchNormStats and "
            "BatchNormApply instead");
}

TEST(ReferenceBackend, RefusesShapesThatDisagree) {
  EXPECT_EQ(Refusal(GoodConv()), "");
  Spec spec = GoodConv();
  spec.outputs[0].shape = {1, 6, 5, 4};
  EXPECT_NE(Refusal(spec), "");
  spec = GoodConv();
  spec.inputs[1].shape = {4, 3, 2, 2};
  EXPECT_NE(Refusal(spec), "");
  spec = GoodConv();
  spec.inputs.push_back(Floats({5}));
  EXPECT_NE(Refusal(spec), "");
  spec = GoodConv();
  spec.inputs[1].present = false;
  EXPECT_NE(Refusal(spec), "");
}

TEST(ReferenceBackend, RefusesAttributesOutOfRange) {
  constexpr int64_t kHuge = std::numeric_limits<int64_t>::max();
  const std::vector<std::pair<std::string, AttributeValue>> bad = {
      {"strides", Ints{0, 1}},     {"strides", Ints{1}},           {"dilations", Ints{kHuge, 1}},
      {"pads", Ints{-1, 1, 1, 1}}, {"pads", Ints{kHuge, 1, 1, 1}}, {"kernel_shape", 3.0},
      {"group", int64_t{0}},       {"group", int64_t{3}},          {"channels_last", int64_t{0}}};
  for (const auto& [name, value] : bad) {
    Spec spec = GoodConv();
    spec.attributes.Set(name, value);
    EXPECT_NE(Refusal(spec), "") << name;
  }
  for (const char* name : {"kernel_shape", "strides", "dilations", "pads", "channels_last"}) {
    Spec spec = GoodConv();
    spec.attributes.Erase(name);
    EXPECT_NE(Refusal(spec), "") << "without " << name;
  }
}

TEST(ReferenceBackend, RefusesSlicesBeyondTheirAxis) {
  const auto slice = [](int64_t start, int64_t end, int64_t step, int64_t size) {
    return Refusal(
        {"Slice",
         {{"starts", Ints{start}}, {"ends", Ints{end}}, {"axes", Ints{0}}, {"steps", Ints{step}}},
         {Floats({8})},
         {Floats({size})}});
  };
  EXPECT_EQ(slice(1, 8, 3, 3), "");
  EXPECT_NE(slice(1, 9, 3, 3), "");
  EXPECT_NE(slice(8, -1, -1, 9), "");
  EXPECT_NE(slice(1, 8, 0, 3), "");
  EXPECT_NE(slice(1, 8, 3, 4), "");
}

TEST(ReferenceBackend, RefusesATargetThatIsNoClass) {
  const std::unique_ptr<Backend> backend = MakeReferenceBackend();
  const std::vector<OperandSpec> inputs = {Floats({2, 3}), {true, DType::kI64, {2}}};
  const std::vector<OperandSpec> outputs = {Floats({})};
  const Attributes attributes;
  const auto kernel =
      backend->Compile({"SoftmaxCrossEntropyLoss", "loss", attributes, inputs, outputs});
  ASSERT_TRUE(kernel.ok()) << kernel.status().message();
  const std::vector<double> scores(6, 0.0);
  const std::vector<int64_t> target = {0, 3};
  double loss = 0;
  const std::byte* in[] = {reinterpret_cast<const std::byte*>(scores.data()),
                           reinterpret_cast<const std::byte*>(target.data())};
  std::byte* out[] = {reinterpret_cast<std::byte*>(&loss)};
  EXPECT_EQ((*kernel)->Run({in, out}).message(), "target 1 is 3, there are 3 classes");
}

TEST(ReferenceBackend, SaysHowMuchMemoryIsMissing) {
  const std::unique_ptr<Backend> backend = MakeReferenceBackend();
  const auto arena = backend->AllocateDevice(Bytes{1} << 60);
  ASSERT_FALSE(arena.ok());
  EXPECT_EQ(arena.status().code(), ErrorCode::kResources);
  EXPECT_NE(arena.status().message().find("needs 1048576.0 TiB"), std::string::npos)
      << arena.status().message();
}

TEST(ReferenceBackend, WaitingAheadOfRecordingIsAnError) {
  const std::unique_ptr<Backend> backend = MakeReferenceBackend();
  ASSERT_TRUE(backend->SetEventCount(2).ok());
  const std::unique_ptr<Lane> lane = std::move(backend->MakeLane("compute").value());
  ASSERT_TRUE(lane->Record(0).ok());
  EXPECT_TRUE(lane->Wait(0).ok());
  EXPECT_FALSE(lane->Wait(1).ok());
  EXPECT_FALSE(lane->Synchronize().ok());
  EXPECT_TRUE(lane->Synchronize().ok()) << "an error is told once";
  ASSERT_TRUE(backend->ResetEvents().ok());
  EXPECT_FALSE(lane->Wait(0).ok());
}

}  // namespace
}  // namespace wsi
