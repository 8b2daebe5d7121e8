// Products whose sums run over very many terms, as the gradient of a linear layer's weight
// over all positions of an image, against sums in fp64. Operands are not negative.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <random>

#include "tests/backends/backend_suite.h"
#include "tests/backends/large_launch.h"
#include "tests/backends/large_sums.h"

namespace wsi {
namespace {

struct ProductRun {
  const char* name;
  DType dtype;
  DType result;
  bool left_transposed = true;  // [K, M], else [M, K].
  bool right_transposed = false;
  double bound = 1e-4;
};
void PrintTo(const ProductRun& run, std::ostream* out) { *out << run.name; }

constexpr int64_t kM = 64;
constexpr int64_t kN = 48;

// No multiple of anything.
int64_t Terms() { return ScaleUnderTest().side * ScaleUnderTest().side / 2 + 77; }

LargeCase CaseOf(const ProductRun& run) {
  const int64_t terms = Terms();
  LargeCase large;
  large.op = "Gemm";
  // The mean of the products, which f16 holds.
  large.attributes = {{"transA", int64_t{run.left_transposed ? 1 : 0}},
                      {"transB", int64_t{run.right_transposed ? 1 : 0}},
                      {"alpha", 1.0 / static_cast<double>(terms)},
                      {"dtype", std::string(DTypeName(run.result))}};
  large.inputs = {
      {run.left_transposed ? Shape{terms, kM} : Shape{kM, terms}, Fill::kUnit, 0, run.dtype},
      {run.right_transposed ? Shape{kN, terms} : Shape{terms, kN}, Fill::kUnit, 0, run.dtype}};
  const int bits = run.dtype == DType::kBF16 ? 7 : 10;
  const Draw draw{.low = 0, .step = std::ldexp(1.0, -bits), .count = uint32_t{1} << bits};
  large.draws = {{0, draw}, {1, draw}};
  return large;
}

class LargeProduct : public testing::TestWithParam<ProductRun> {};

TEST_P(LargeProduct, IsTrue) {
  const ProductRun& run = GetParam();
  const int64_t seed = TestSeed(static_cast<int64_t>(std::random_device()() % 1000000));
  SCOPED_TRACE(fmt::format("WSI_TEST_SEED={}", seed));
  auto backend = MakeBackendUnderTest();
  if (!backend) GTEST_SKIP() << "the backend's device is not there";
  const LargeCase large = CaseOf(run);
  LargeRunner runner(std::move(backend), seed);
  LargeOperands operands;
  const auto types = OutputTypes(large);
  ASSERT_TRUE(types.ok()) << types.status().message();
  const LargeOutcome outcome = runner.Launch(large, *types, operands);
  if (!outcome.skipped.empty()) GTEST_SKIP() << outcome.skipped;
  ASSERT_TRUE(outcome.status.ok()) << outcome.status.message();
  const auto ms = runner.Again(operands);
  ASSERT_TRUE(ms.ok()) << ms.status().message();
  Tensor y = Tensor::Make((*types)[0]->dtype, (*types)[0]->shape).value();
  ASSERT_TRUE(runner.backend().Read(y.bytes(), operands.outputs[0]).ok());
  const std::vector<double> got = y.ToDoubles();
  const Draw left = DrawOf(large, 0, seed);
  const Draw right = DrawOf(large, 1, seed);
  const int64_t terms = Terms();
  double largest = 0;
  for (const int64_t m : {int64_t{0}, kM - 1}) {
    for (const int64_t n : {int64_t{0}, kN - 1}) {
      const auto sums = SumOverRows(terms, 1, [&](int64_t k, std::vector<double>& s) {
        s[0] += left.At(run.left_transposed ? k * kM + m : m * terms + k) *
                right.At(run.right_transposed ? n * terms + k : k * kN + n);
      });
      const double want = sums[0] / static_cast<double>(terms);
      largest = std::max(largest, RelativeError(got[static_cast<size_t>(m * kN + n)], want));
    }
  }
  fmt::print("Gemm {}: {} terms, {:.2f} ms, relative error at most {:.2e}\n", run.name, terms, *ms,
             largest);
  EXPECT_LE(largest, run.bound);
}

constexpr ProductRun kRuns[] = {
    {"F16", DType::kF16, DType::kF32},
    {"F16ToF16", DType::kF16, DType::kF16, true, false, 1e-3},
    {"BF16", DType::kBF16, DType::kF32},
    {"F32", DType::kF32, DType::kF32},
    {"F16AcrossRows", DType::kF16, DType::kF32, false, true},
    {"F16BothTransposed", DType::kF16, DType::kF32, true, true},
};
INSTANTIATE_TEST_SUITE_P(Library, LargeProduct, testing::ValuesIn(kRuns),
                         [](const auto& run) { return std::string(run.param.name); });

}  // namespace
}  // namespace wsi
