// Gradients behind a fused ReLU find its mask from x as from the forward result, bit by bit:
// what is 0 in the storage type held back, whatever it was before rounding.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/backends/backend_suite.h"
#include "tests/backends/launch_runner.h"
#include "tests/backends/operand.h"

namespace wsi {
namespace {

constexpr int64_t kSeed = 11;

struct MaskCase {
  std::string name = {};
  DType type = DType::kF32;
  Operand x;
  Operand scale;
  Operand bias;
  Operand mean;
};
void PrintTo(const MaskCase& test, std::ostream* out) { *out << test.name; }

std::vector<MaskCase> MaskCases() {
  std::vector<DType> types = FloatTypesUnderTest();
  for (const DType type : {DType::kF16, DType::kBF16}) {
    if (std::count(types.begin(), types.end(), type) == 0) types.push_back(type);
  }
  std::vector<MaskCase> cases;
  for (const DType type : types) {
    for (const int64_t channels : {17, 24}) {
      const Shape image = {1, 39, 7, channels};
      const Shape c = {channels};
      const auto add = [&](const char* name, const MaskCase& operands) {
        cases.push_back(operands);
        cases.back().name = fmt::format("{}_{}_{}", name, channels, DTypeName(type));
        cases.back().type = type;
      };
      const auto all = [&](double number) { return Operand{c, Fill::kNumber, number}; };
      add("spread", {.x = {image}, .scale = {c}, .bias = {c}, .mean = {c}});
      add("ties", {.x = {image, Fill::kTies},
                   .scale = {c, Fill::kWhole},
                   .bias = {c, Fill::kWhole},
                   .mean = {c, Fill::kWhole}});
      // 1 to 3 quarters of the smallest positive f16 and bf16.
      const Operand whole = {image, Fill::kWhole};
      add("tiny_half", {.x = whole, .scale = all(0x1p-26), .bias = all(0), .mean = all(0)});
      add("tiny_bfloat16", {.x = whole, .scale = all(0x1p-135), .bias = all(0), .mean = all(0)});
    }
  }
  return cases;
}

class ReluMask : public testing::TestWithParam<MaskCase> {
 protected:
  void SetUp() override {
    if (!backend_.has_backend()) GTEST_SKIP() << "the backend's device is not there";
  }
  Tensor Make(const Operand& operand, int64_t node, DType type) {
    return RandomTensor(operand, kSeed, node).Cast(type).value();
  }
  std::vector<Tensor> Run(const char* op, std::vector<const Tensor*> inputs, size_t outputs) {
    const Attributes attributes = {
        {"epsilon", 0.0}, {"relu", int64_t{1}}, {"channels_last", int64_t{1}}};
    Launch launch{op, "mask", attributes, std::move(inputs), {}, {}};
    const Status inferred = InferLaunch(launch, std::vector<bool>(outputs, true));
    EXPECT_TRUE(inferred.ok()) << inferred.message();
    Result<std::vector<Tensor>> results = backend_.Run(launch);
    EXPECT_TRUE(results.ok()) << results.status().message();
    return std::move(*results);
  }

  LaunchRunner backend_{MakeBackendUnderTest()};
};

TEST_P(ReluMask, IsThatOfTheForwardResult) {
  const MaskCase& test = GetParam();
  const DType single = test.type == DType::kF64 ? DType::kF64 : DType::kF32;
  const Tensor x = Make(test.x, 0, test.type);
  const Tensor dy = Make({test.x.shape, Fill::kOffZero}, 1, test.type);
  const Tensor scale = Make(test.scale, 2, single);
  const Tensor bias = Make(test.bias, 3, single);
  const Tensor mean = Make(test.mean, 4, single);
  const Tensor var = Make({test.scale.shape, Fill::kNumber, 1.0}, 5, single);
  const Tensor y = std::move(Run("BatchNormApply", {&x, &scale, &bias, &mean, &var}, 1)[0]);
  const std::vector<double> values = y.ToDoubles();
  EXPECT_GT(std::count(values.begin(), values.end(), 0.0), 0);

  const auto sums = Run("BatchNormGradStats", {&dy, &x, &mean, &var, &y}, 3);
  const auto from_x = Run("BatchNormGradStats", {&dy, &x, &mean, &var, nullptr, &scale, &bias}, 3);
  for (size_t i = 0; i < sums.size(); ++i) {
    EXPECT_TRUE(from_x[i] == sums[i]) << "output " << i << " of BatchNormGradStats differs";
  }
  std::vector<const Tensor*> back = {&dy, &x, &scale, &mean, &var, &sums[0], &sums[1], &y};
  const auto dx = Run("BatchNormGradApply", back, 1);
  back.back() = nullptr;
  back.push_back(&bias);
  EXPECT_TRUE(Run("BatchNormGradApply", back, 1)[0] == dx[0]);
}

INSTANTIATE_TEST_SUITE_P(Types, ReluMask, testing::ValuesIn(MaskCases()),
                         [](const testing::TestParamInfo<MaskCase>& run) {
                           return run.param.name;
                         });

}  // namespace
}  // namespace wsi
