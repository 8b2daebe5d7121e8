// What cuDNN makes of a weight gradient that it is given in one piece, beside ours: its time,
// and how much smaller its sums are. Asked for by name alone: it may read where it must not.
#include <cuda_runtime_api.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <chrono>

#include "runtime/backends/cuda/convolution_plan.h"
#include "tests/backends/backend_suite.h"
#include "tests/backends/large_launch.h"
#include "tests/backends/window_attributes.h"

namespace wsi::cuda {
namespace {

constexpr int64_t kChannels = 64;

LargeCase WeightGradOf(int64_t side) {
  LargeCase large;
  large.op = "ConvWeightGrad";
  large.attributes =
      With(WindowAttributes({3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}), "group", int64_t{1});
  large.attributes.Set("weight_shape", std::vector<int64_t>{kChannels, 3, 3, kChannels});
  const Operand image{{1, side, side, kChannels}, Fill::kUnit, 0, DType::kF16};
  large.inputs = {image, image};
  return large;
}

ConvolutionProblem ProblemOf(int64_t side) {
  return {.kind = ConvolutionKind::kWeightGrad,
          .dtype = DType::kF16,
          .result = DType::kF32,
          .bias = false,
          .images = 1,
          .in_channels = kChannels,
          .out_channels = kChannels,
          .groups = 1,
          .alignment = 16,
          .input = {side, side},
          .output = {side, side},
          .kernel = {3, 3},
          .strides = {1, 1},
          .dilations = {1, 1},
          .pad_begin = {1, 1},
          .pad_end = {1, 1}};
}

void CompareOnePiece(int64_t side) {
  auto backend = MakeBackendUnderTest();
  if (!backend) GTEST_SKIP() << "the backend's device is not there";
  const LargeCase large = WeightGradOf(side);
  LargeRunner runner(std::move(backend), 1);
  LargeOperands operands;
  const auto types = OutputTypes(large);
  ASSERT_TRUE(types.ok());
  const LargeOutcome outcome = runner.Launch(large, *types, operands);
  if (!outcome.skipped.empty()) GTEST_SKIP() << outcome.skipped;
  ASSERT_TRUE(outcome.status.ok()) << outcome.status.message();
  const auto ours_ms = runner.Again(operands);
  ASSERT_TRUE(ours_ms.ok());
  Cudnn cudnn(nullptr, EngineCache({}, {}));
  const auto plan = cudnn.Plan(ProblemOf(side));
  ASSERT_TRUE(plan.ok()) << plan.status().message();
  const auto count = static_cast<size_t>((*types)[0]->shape.ElementCount());
  const Bytes weight_bytes = AlignUp(static_cast<Bytes>(count * sizeof(float)), 256);
  auto memory = runner.backend().AllocateDevice(weight_bytes + (*plan)->workspace_bytes() + 256);
  ASSERT_TRUE(memory.ok()) << memory.status().message();
  std::byte* w = (*memory)->data();
  const auto at = [&](size_t i) { return const_cast<std::byte*>(operands.inputs[i]); };
  double ms = 0;
  for (int run = 0; run < 2; ++run) {
    const auto start = std::chrono::steady_clock::now();
    const Status ran =
        (*plan)->Run({.x = at(0), .w = w, .y = at(1), .bias = nullptr}, w + weight_bytes);
    ASSERT_TRUE(ran.ok()) << ran.message();
    ASSERT_EQ(cudaStreamSynchronize(nullptr), cudaSuccess);
    ms =
        std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
  }
  std::vector<float> ours(count);
  std::vector<float> theirs(count);
  ASSERT_TRUE(
      runner.backend().Read(std::as_writable_bytes(std::span(ours)), operands.outputs[0]).ok());
  ASSERT_TRUE(runner.backend().Read(std::as_writable_bytes(std::span(theirs)), w).ok());
  double least = 0;
  double most = 0;
  for (size_t i = 0; i < count; ++i) {
    const double error = (static_cast<double>(theirs[i]) - static_cast<double>(ours[i])) /
                         static_cast<double>(ours[i]);
    least = std::min(least, error);
    most = std::max(most, error);
  }
  fmt::print(
      "cuDNN in one piece, {} x {} positions: {:.2f} ms beside ours of {:.2f}; relative to "
      "ours from {:+.2e} to {:+.2e}; {}\n",
      side, side, ms, *ours_ms, least, most, cudnn.choices().back());
}

TEST(OnePiece, DISABLED_Small) { CompareOnePiece(ScaleUnderTest().side / 8); }
TEST(OnePiece, DISABLED_Half) { CompareOnePiece(ScaleUnderTest().side / 2); }
TEST(OnePiece, DISABLED_Whole) { CompareOnePiece(ScaleUnderTest().side); }

}  // namespace
}  // namespace wsi::cuda
