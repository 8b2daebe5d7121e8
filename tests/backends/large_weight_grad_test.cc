// Weight gradients over very many positions against sums in fp64. Inputs are not negative,
// so that nothing cancels: sums in single precision come out too small, by 1 % and more where
// a tensor core adds up all positions in one piece.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <random>

#include "tests/backends/backend_suite.h"
#include "tests/backends/large_launch.h"
#include "tests/backends/large_sums.h"
#include "tests/backends/window_attributes.h"

namespace wsi {
namespace {

struct WeightGradRun {
  const char* name;
  DType dtype;
  int64_t in_channels, out_channels, kernel, stride, pad;
  int64_t side_divisor = 1;  // Of the scale's side.
  int64_t group = 1;
  double bound = 1e-4;
};
void PrintTo(const WeightGradRun& run, std::ostream* out) { *out << run.name; }

int64_t OutputSide(const WeightGradRun& run, int64_t side) {
  return (side + 2 * run.pad - run.kernel) / run.stride + 1;
}

// Exact in the type, from 0 to below 1.
Draw NotNegative(DType dtype) {
  const int bits = dtype == DType::kBF16 ? 7 : dtype == DType::kF16 ? 10 : 20;
  return {.low = 0, .step = std::ldexp(1.0, -bits), .count = uint32_t{1} << bits};
}

LargeCase CaseOf(const WeightGradRun& run, int64_t side) {
  const int64_t out = OutputSide(run, side);
  LargeCase large;
  large.op = "ConvWeightGrad";
  large.attributes = With(WindowAttributes({run.kernel, run.kernel}, {run.stride, run.stride},
                                           {1, 1}, {run.pad, run.pad, run.pad, run.pad}),
                          "group", run.group);
  large.attributes.Set(
      "weight_shape",
      std::vector<int64_t>{run.out_channels, run.kernel, run.kernel, run.in_channels / run.group});
  large.inputs = {{{1, side, side, run.in_channels}, Fill::kUnit, 0, run.dtype},
                  {{1, out, out, run.out_channels}, Fill::kUnit, 0, run.dtype}};
  large.draws = {{0, NotNegative(run.dtype)}, {1, NotNegative(run.dtype)}};
  return large;
}

// Some of the entries of a weight: these channels, and all taps.
struct Sample {
  std::vector<int64_t> in, out;  // in: of the group.
};
Sample SampleOf(const WeightGradRun& run) {
  if (run.group > 1) return {{0}, {0, 1, run.out_channels / 2, run.out_channels - 1}};
  const int64_t i = run.in_channels - 1;
  const int64_t o = run.out_channels - 1;
  return {{0, i / 3, i}, {0, o / 2, o}};
}

// Row `row` of one channel.
void DrawRow(const Draw& draw, int64_t row, int64_t side, int64_t channels, int64_t channel,
             std::vector<double>& to) {
  for (int64_t c = 0; c < side; ++c) {
    to[static_cast<size_t>(c)] = draw.At((row * side + c) * channels + channel);
  }
}

// The sum of slopes[c] * inputs[c * stride + shift], as far as these are inside.
double Product(const std::vector<double>& slopes, const std::vector<double>& inputs, int64_t stride,
               int64_t shift) {
  const auto size = static_cast<int64_t>(inputs.size());
  double sum = 0;
  for (int64_t c = 0; c < static_cast<int64_t>(slopes.size()); ++c) {
    const int64_t column = c * stride + shift;
    if (column < 0 || column >= size) continue;
    sum += slopes[static_cast<size_t>(c)] * inputs[static_cast<size_t>(column)];
  }
  return sum;
}

// The sums by [out][tap row][tap column][in] of the sample.
std::vector<double> SumUp(const WeightGradRun& run, const Sample& sample, const LargeCase& large,
                          int64_t side, int64_t seed) {
  const int64_t out_side = OutputSide(run, side);
  const Draw x = DrawOf(large, 0, seed);
  const Draw dy = DrawOf(large, 1, seed);
  const auto taps = static_cast<size_t>(run.kernel);
  const size_t width = sample.out.size() * taps * taps * sample.in.size();
  return SumOverRows(out_side, width, [&](int64_t row, std::vector<double>& sums) {
    std::vector<std::vector<double>> slopes;
    for (const int64_t o : sample.out) {
      slopes.emplace_back(static_cast<size_t>(out_side));
      DrawRow(dy, row, out_side, run.out_channels, o, slopes.back());
    }
    std::vector<double> inputs(static_cast<size_t>(side));
    for (size_t k = 0; k < taps; ++k) {
      const int64_t in_row = row * run.stride + static_cast<int64_t>(k) - run.pad;
      if (in_row < 0 || in_row >= side) continue;
      for (size_t i = 0; i < sample.in.size(); ++i) {
        for (size_t o = 0; o < sample.out.size(); ++o) {
          const int64_t group = sample.out[o] * run.group / run.out_channels;
          const int64_t channel = group * (run.in_channels / run.group) + sample.in[i];
          if (o == 0 || run.group > 1) DrawRow(x, in_row, side, run.in_channels, channel, inputs);
          for (size_t l = 0; l < taps; ++l) {
            sums[((o * taps + k) * taps + l) * sample.in.size() + i] +=
                Product(slopes[o], inputs, run.stride, static_cast<int64_t>(l) - run.pad);
          }
        }
      }
    }
  });
}

// The same entries of what came out.
std::vector<double> Entries(const WeightGradRun& run, const Sample& sample,
                            const std::vector<float>& dw) {
  std::vector<double> entries;
  for (const int64_t o : sample.out) {
    for (int64_t tap = 0; tap < run.kernel * run.kernel; ++tap) {
      for (const int64_t i : sample.in) {
        const int64_t row = o * run.kernel * run.kernel + tap;
        entries.push_back(
            static_cast<double>(dw[static_cast<size_t>(row * (run.in_channels / run.group) + i)]));
      }
    }
  }
  return entries;
}

class LargeWeightGrad : public testing::TestWithParam<WeightGradRun> {};

TEST_P(LargeWeightGrad, IsTrue) {
  const WeightGradRun& run = GetParam();
  const int64_t seed = TestSeed(static_cast<int64_t>(std::random_device()() % 1000000));
  SCOPED_TRACE(fmt::format("WSI_TEST_SEED={}", seed));
  auto backend = MakeBackendUnderTest();
  if (!backend) GTEST_SKIP() << "the backend's device is not there";
  const int64_t side = ScaleUnderTest().side / run.side_divisor;
  const LargeCase large = CaseOf(run, side);
  LargeRunner runner(std::move(backend), seed);
  LargeOperands operands;
  const auto types = OutputTypes(large);
  ASSERT_TRUE(types.ok()) << types.status().message();
  const LargeOutcome outcome = runner.Launch(large, *types, operands);
  if (!outcome.skipped.empty()) GTEST_SKIP() << outcome.skipped;
  ASSERT_TRUE(outcome.status.ok()) << outcome.status.message();
  const auto ms = runner.Again(operands);
  ASSERT_TRUE(ms.ok()) << ms.status().message();
  std::vector<float> dw(static_cast<size_t>((*types)[0]->shape.ElementCount()));
  const Status read =
      runner.backend().Read(std::as_writable_bytes(std::span(dw)), operands.outputs[0]);
  ASSERT_TRUE(read.ok()) << read.message();
  const Sample sample = SampleOf(run);
  const std::vector<double> want = SumUp(run, sample, large, side, seed);
  const std::vector<double> got = Entries(run, sample, dw);
  ASSERT_EQ(got.size(), want.size());
  double largest = 0;
  double mean = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    largest = std::max(largest, RelativeError(got[i], want[i]));
    mean += (got[i] - want[i]) / want[i] / static_cast<double>(got.size());
  }
  const double flops = 2.0 * static_cast<double>(dw.size()) *
                       static_cast<double>(large.inputs[1].shape.ElementCount()) /
                       static_cast<double>(run.out_channels);
  fmt::print(
      "ConvWeightGrad {} {}: {} x {} positions, {:.2f} ms ({:.0f} TFLOP/s); of {} entries "
      "relative error at most {:.2e}, {:+.2e} on average\n",
      run.name, DTypeName(run.dtype), OutputSide(run, side), OutputSide(run, side), *ms,
      flops / *ms / 1e9, got.size(), largest, mean);
  EXPECT_LE(largest, run.bound);
}

constexpr WeightGradRun kRuns[] = {
    {"Plain3x3F16", DType::kF16, 64, 64, 3, 1, 1},
    {"Plain3x3BF16", DType::kBF16, 64, 64, 3, 1, 1},
    {"Point64To256F16", DType::kF16, 64, 256, 1, 1, 0, 2},
    {"StridedF16", DType::kF16, 64, 64, 3, 2, 1},
    {"StemF16", DType::kF16, 3, 64, 7, 2, 3},
    {"DepthwiseF16", DType::kF16, 64, 64, 3, 1, 1, 1, 64},
    {"GroupsOf4F16", DType::kF16, 64, 64, 3, 1, 1, 2, 16},
    {"GroupsOf8BF16", DType::kBF16, 64, 64, 3, 1, 1, 2, 8},
    {"GroupsOf16F16", DType::kF16, 64, 64, 3, 1, 1, 2, 4},
    {"GroupsOf64F16", DType::kF16, 128, 128, 3, 1, 1, 2, 2},
};
// By cuDNN.
constexpr WeightGradRun kLibraryRuns[] = {
    {"Plain3x3F32", DType::kF32, 64, 64, 3, 1, 1, 2},
};
std::string NameOf(const testing::TestParamInfo<WeightGradRun>& run) { return run.param.name; }
INSTANTIATE_TEST_SUITE_P(Own, LargeWeightGrad, testing::ValuesIn(kRuns), NameOf);
INSTANTIATE_TEST_SUITE_P(Library, LargeWeightGrad, testing::ValuesIn(kLibraryRuns), NameOf);

}  // namespace
}  // namespace wsi
