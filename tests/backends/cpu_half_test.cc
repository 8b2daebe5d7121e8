// f16 and bf16 on the CPU: conversions element by element, the same bits on any number
// of threads, and which launches are refused.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>

#include "tests/backends/cpu_launch.h"

namespace wsi {
namespace {

Tensor Stored(Shape shape, uint64_t seed, DType dtype) {
  return Numbers(std::move(shape), seed).Cast(dtype).value();
}

Tensor Cast(const Tensor& x, DType to) {
  TestLaunch launch{.op = "Cast", .attributes = {{"to", std::string(DTypeName(to))}}};
  launch.inputs.push_back(x.Cast(x.dtype()).value());
  launch.outputs = {{to, x.shape()}};
  return std::move(RunLaunch(launch)[0]);
}

class CpuHalf : public testing::TestWithParam<DType> {
 protected:
  float Wide(uint16_t bits) const {
    return GetParam() == DType::kF16 ? HalfToFloat(bits) : BFloat16ToFloat(bits);
  }
  uint16_t Narrow(float value) const {
    return GetParam() == DType::kF16 ? FloatToHalf(value) : FloatToBFloat16(value);
  }
};

TEST_P(CpuHalf, EveryNumberWidens) {
  Tensor all = Tensor::Make(GetParam(), {1 << 16}).value();
  auto* bits = reinterpret_cast<uint16_t*>(all.bytes().data());
  for (uint32_t i = 0; i < (1U << 16); ++i) bits[i] = static_cast<uint16_t>(i);
  const Tensor wide = Cast(all, DType::kF32);
  const float* values = reinterpret_cast<const float*>(wide.bytes().data());
  for (uint32_t i = 0; i < (1U << 16); ++i) {
    const float want = Wide(static_cast<uint16_t>(i));
    if (std::isnan(want)) {
      ASSERT_TRUE(std::isnan(values[i])) << i;
    } else {
      ASSERT_EQ(std::bit_cast<uint32_t>(values[i]), std::bit_cast<uint32_t>(want)) << i;
    }
  }
}

// Each number, the points halfway to the next one, and what lies beside those.
TEST_P(CpuHalf, RoundsToNearestEven) {
  std::vector<float> values;
  for (uint32_t i = 0; i < (1U << 16); ++i) {
    const float here = Wide(static_cast<uint16_t>(i));
    const float next = Wide(static_cast<uint16_t>(i + 1));
    values.push_back(here);
    if (!std::isfinite(here) || !std::isfinite(next)) continue;
    const float middle = here / 2 + next / 2;
    values.push_back(middle);
    values.push_back(std::nextafter(middle, here));
    values.push_back(std::nextafter(middle, next));
  }
  for (const float v : {65519.996F, 65520.0F, 1e6F, 3.4e38F, 1e-40F, -1e-40F}) values.push_back(v);
  const Tensor x = Tensor::Of<float>({static_cast<int64_t>(values.size())}, values);
  const Tensor narrow = Cast(x, GetParam());
  const auto* bits = reinterpret_cast<const uint16_t*>(narrow.bytes().data());
  for (size_t i = 0; i < values.size(); ++i) {
    if (std::isnan(values[i])) {
      ASSERT_TRUE(std::isnan(Wide(bits[i]))) << i;
    } else {
      ASSERT_EQ(bits[i], Narrow(values[i])) << values[i];
    }
  }
}

TEST_P(CpuHalf, ConvolutionsDoNotDependOnThreads) {
  const Shape x = {1, 41, 37, 32};
  const Shape y = {1, 21, 19, 48};
  const Shape w = {48, 3, 3, 32};
  const Attributes attributes = {{"kernel_shape", std::vector<int64_t>{3, 3}},
                                 {"strides", std::vector<int64_t>{2, 2}},
                                 {"pads", std::vector<int64_t>{1, 1, 1, 1}},
                                 {"dilations", std::vector<int64_t>{1, 1}},
                                 {"channels_last", int64_t{1}}};
  const auto launch = [&](std::string op, std::initializer_list<Shape> inputs, DType dtype,
                          Shape output) {
    TestLaunch result{.op = std::move(op), .attributes = attributes};
    for (const Shape& shape : inputs) {
      result.inputs.push_back(Stored(shape, result.inputs.size() + 1, GetParam()));
    }
    result.outputs.emplace_back(dtype, std::move(output));
    return result;
  };
  RunLaunch(launch("Conv", {x, w, {48}}, GetParam(), y));
  TestLaunch back = launch("ConvInputGrad", {y, w}, GetParam(), x);
  back.attributes.Set("input_shape", std::vector<int64_t>{1, 41, 37, 32});
  RunLaunch(back);
  TestLaunch weights = launch("ConvWeightGrad", {x, y}, DType::kF32, w);
  weights.attributes.Set("weight_shape", std::vector<int64_t>{48, 3, 3, 32});
  RunLaunch(weights);
}

// Long sums of a gradient keep what the stored type would lose: 4096 ones and a half.
TEST_P(CpuHalf, WeightGradientsComeOutInFp32) {
  const int64_t positions = 64 * 64;
  std::vector<float> ones(static_cast<size_t>(positions), 1.0F);
  std::vector<float> x = ones;
  x[17] = 1.5F;
  TestLaunch launch{.op = "ConvWeightGrad",
                    .attributes = {{"kernel_shape", std::vector<int64_t>{1, 1}},
                                   {"strides", std::vector<int64_t>{1, 1}},
                                   {"pads", std::vector<int64_t>{0, 0, 0, 0}},
                                   {"dilations", std::vector<int64_t>{1, 1}},
                                   {"weight_shape", std::vector<int64_t>{1, 1, 1, 1}},
                                   {"channels_last", int64_t{1}}}};
  launch.inputs.push_back(Tensor::Of<float>({1, 64, 64, 1}, x).Cast(GetParam()).value());
  launch.inputs.push_back(Tensor::Of<float>({1, 64, 64, 1}, ones).Cast(GetParam()).value());
  launch.outputs = {{DType::kF32, {1, 1, 1, 1}}};
  EXPECT_EQ(RunLaunch(launch)[0].ToDoubles()[0], 4096.5);
  TestLaunch product{.op = "Gemm", .attributes = {{"transA", int64_t{1}}}};
  product.inputs.push_back(Tensor::Of<float>({positions, 1}, x).Cast(GetParam()).value());
  product.inputs.push_back(Tensor::Of<float>({positions, 1}, ones).Cast(GetParam()).value());
  product.outputs = {{DType::kF32, {1, 1}}};
  EXPECT_EQ(RunLaunch(product)[0].ToDoubles()[0], 4096.5);
}

TEST_P(CpuHalf, MixedActivationsAreRefused) {
  TestLaunch launch{.op = "Add"};
  launch.inputs.push_back(Stored({4}, 1, GetParam()));
  launch.inputs.push_back(Stored({4}, 2, DType::kF32));
  launch.outputs = {{GetParam(), {4}}};
  EXPECT_FALSE(TryLaunch(launch, 1).ok());
}

INSTANTIATE_TEST_SUITE_P(Types, CpuHalf, testing::Values(DType::kF16, DType::kBF16),
                         [](const testing::TestParamInfo<DType>& run) {
                           return std::string(DTypeName(run.param));
                         });

// What f32 arithmetic would lose.
TEST(CpuDouble, ComputesInFp64) {
  const std::vector<double> a = {1.0, 1e9};
  const std::vector<double> b = {1e-12, 1.0};
  TestLaunch launch{.op = "Add"};
  launch.inputs.push_back(Tensor::Of<double>({2}, a));
  launch.inputs.push_back(Tensor::Of<double>({2}, b));
  launch.outputs = {{DType::kF64, {2}}};
  EXPECT_EQ(RunLaunch(launch)[0].ToDoubles(), (std::vector<double>{1.0 + 1e-12, 1e9 + 1.0}));
  TestLaunch product{.op = "MatMul"};
  product.inputs.push_back(Tensor::Of<double>({1, 2}, a));
  product.inputs.push_back(Tensor::Of<double>({2, 1}, b));
  product.outputs = {{DType::kF64, {1, 1}}};
  EXPECT_EQ(RunLaunch(product)[0].ToDoubles()[0], 1e-12 + 1e9);
}

}  // namespace
}  // namespace wsi
