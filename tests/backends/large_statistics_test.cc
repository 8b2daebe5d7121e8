// What is summed over very many elements, against sums in fp64: statistics and means of
// images, losses, norms. Inputs are not negative; "far" ones lie far from zero by their
// deviation, so that a variance made of squares would cancel.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <limits>
#include <random>

#include "tests/backends/backend_suite.h"
#include "tests/backends/large_launch.h"
#include "tests/backends/large_sums.h"
#include "tests/backends/window_attributes.h"

namespace wsi {
namespace {

using Ints = std::vector<int64_t>;
constexpr int64_t kChannels = 64;
constexpr int64_t kSampled[] = {0, 1, 38, 63};
constexpr DType kHalf = DType::kF16;

// From 0 to below 1: mean and deviation alike.
constexpr Draw kNear{.low = 0, .step = 0x1p-10, .count = 1024};
// 1000 to 1003, whose neighbours in f16 are half of one apart: a deviation of 1.1.
constexpr Draw kFar{.low = 1000, .step = 1, .count = 4};

class LargeStatistics : public testing::Test {
 protected:
  void SetUp() override {
    auto backend = MakeBackendUnderTest();
    if (!backend) GTEST_SKIP() << "the backend's device is not there";
    runner_.emplace(std::move(backend), seed_);
  }

  // More than 10^8 positions on a device; 10,240 beside 8,192.
  int64_t Side() const { return ScaleUnderTest().side / 4 * 5; }
  Shape Image() const { return {1, Side(), Side(), kChannels}; }

  // Runs it; false where it was skipped or failed.
  bool Launch(const LargeCase& large) {
    types_ = OutputTypes(large).value();
    const LargeOutcome outcome = runner_->Launch(large, types_, operands_);
    ms_ = outcome.ms;
    skipped_ = outcome.skipped;
    if (!skipped_.empty()) return false;
    EXPECT_TRUE(outcome.status.ok()) << outcome.status.message();
    return outcome.status.ok();
  }
  std::vector<double> Output(size_t o) {
    Tensor tensor = Tensor::Make(types_[o]->dtype, types_[o]->shape).value();
    const Status read = runner_->backend().Read(tensor.bytes(), operands_.outputs[o]);
    EXPECT_TRUE(read.ok()) << read.message();
    return tensor.ToDoubles();
  }
  double OutputOf(size_t o, int64_t channel) { return Output(o)[static_cast<size_t>(channel)]; }

  // The sums over all positions of what add(position's elements of one channel) gives.
  // add(elements of the inputs, sums)
  template <typename Add>
  std::vector<double> OfChannel(const LargeCase& large, const std::vector<size_t>& inputs,
                                int64_t channel, size_t width, const Add& add) {
    const Shape& shape = large.inputs[inputs[0]].shape;
    const int64_t channels = shape[-1];
    const int64_t positions = shape.ElementCount() / channels;
    std::vector<Draw> draws;
    draws.reserve(inputs.size());
    for (const size_t i : inputs) draws.push_back(DrawOf(large, i, seed_));
    constexpr int64_t kRow = 4096;
    return SumOverRows(CeilDiv(positions, kRow), width,
                       [&](int64_t row, std::vector<double>& sums) {
                         std::vector<double> v(draws.size());
                         const int64_t end = std::min(positions, (row + 1) * kRow);
                         for (int64_t p = row * kRow; p < end; ++p) {
                           for (size_t d = 0; d < draws.size(); ++d)
                             v[d] = draws[d].At(p * channels + channel);
                           add(v, sums);
                         }
                       });
  }

  void Report(std::string_view what, double error, double bound) {
    fmt::print("{}: relative error at most {:.2e} (allowed {:.0e}), {:.1f} ms\n", what, error,
               bound, ms_);
    EXPECT_LE(error, bound) << what << ", WSI_TEST_SEED=" << seed_;
  }

  int64_t seed_ = TestSeed(static_cast<int64_t>(std::random_device()() % 1000000));
  std::optional<LargeRunner> runner_;
  LargeOperands operands_;
  OutputTypeList types_;
  std::string skipped_;
  double ms_ = 0;
};

#define LAUNCH_OR_SKIP(large)                        \
  if (!Launch(large)) {                              \
    if (!skipped_.empty()) GTEST_SKIP() << skipped_; \
    return;                                          \
  }

Operand Of(Shape shape, DType dtype = kHalf) { return {std::move(shape), Fill::kUnit, 0, dtype}; }

LargeCase Plain(const char* op, Attributes attributes, std::vector<Operand> inputs,
                size_t outputs = 1) {
  LargeCase large;
  large.op = op;
  large.attributes = std::move(attributes);
  large.inputs = std::move(inputs);
  large.outputs.assign(outputs, true);
  return large;
}

// Sums of x - low and of its square.
void AddMoments(double low, double x, std::vector<double>& sums) {
  sums[0] += x - low;
  sums[1] += (x - low) * (x - low);
}

struct Moments {
  double mean = 0, var = 0;
};
Moments MomentsOf(const std::vector<double>& sums, double low, double count) {
  const double offset = sums[0] / count;
  return {low + offset, sums[1] / count - offset * offset};
}

// An image's numbers.
struct Numbers {
  const char* name;
  DType dtype;
  Draw draw;
};
void PrintTo(const Numbers& numbers, std::ostream* out) { *out << numbers.name; }
constexpr Numbers kNumbers[] = {
    {"Near", kHalf, kNear},
    {"Far", kHalf, kFar},
    // Their sums take more digits than single precision has.
    {"Fine", DType::kF32, {.low = 0, .step = 0x1p-20, .count = 1 << 20}},
};

class LargeMoments : public LargeStatistics, public testing::WithParamInterface<Numbers> {
 protected:
  Operand Drawn() const { return Of(Image(), GetParam().dtype); }
  static std::string Named(std::string_view what) {
    return fmt::format("{} of {} numbers", what, GetParam().name);
  }
};

TEST_P(LargeMoments, BatchNormStats) {
  if (!runner_) return;
  const Draw draw = GetParam().draw;
  LargeCase large = Plain("BatchNormStats", {{"channels_last", int64_t{1}}}, {Drawn()}, 2);
  large.draws[0] = draw;
  LAUNCH_OR_SKIP(large);
  double mean = 0;
  double var = 0;
  for (const int64_t channel : kSampled) {
    const auto sums = OfChannel(large, {0}, channel, 2,
                                [&](const auto& v, auto& s) { AddMoments(draw.low, v[0], s); });
    const Moments want = MomentsOf(sums, draw.low, static_cast<double>(Side() * Side()));
    mean = std::max(mean, RelativeError(OutputOf(0, channel), want.mean));
    var = std::max(var, RelativeError(OutputOf(1, channel), want.var));
  }
  Report(Named("BatchNormStats mean"), mean, 1e-6);
  Report(Named("BatchNormStats variance"), var, 1e-5);
}

TEST_P(LargeMoments, GroupNormalization) {
  if (!runner_) return;
  const Draw draw = GetParam().draw;
  constexpr int64_t kGroups = 32;
  LargeCase large =
      Plain("GroupNormalization",
            {{"num_groups", kGroups}, {"epsilon", 0.0}, {"channels_last", int64_t{1}}},
            {Drawn(), Of({kChannels}, DType::kF32), Of({kChannels}, DType::kF32)}, 3);
  large.draws[0] = draw;
  LAUNCH_OR_SKIP(large);
  double mean = 0;
  double inverse = 0;
  for (const int64_t group : {int64_t{0}, kGroups - 1}) {
    std::vector<double> sums(2);
    for (const int64_t channel : {2 * group, 2 * group + 1}) {
      const auto part = OfChannel(large, {0}, channel, 2,
                                  [&](const auto& v, auto& s) { AddMoments(draw.low, v[0], s); });
      for (size_t k = 0; k < 2; ++k) sums[k] += part[k];
    }
    const Moments want = MomentsOf(sums, draw.low, 2.0 * static_cast<double>(Side() * Side()));
    mean = std::max(mean, RelativeError(OutputOf(1, group), want.mean));
    inverse = std::max(inverse, RelativeError(OutputOf(2, group), 1 / std::sqrt(want.var)));
  }
  Report(Named("GroupNormalization mean"), mean, 1e-6);
  Report(Named("GroupNormalization 1 / deviation"), inverse, 1e-5);
}

TEST_P(LargeMoments, GlobalAveragePool) {
  if (!runner_) return;
  LargeCase large = Plain("GlobalAveragePool", {{"channels_last", int64_t{1}}}, {Drawn()});
  large.draws[0] = GetParam().draw;
  LAUNCH_OR_SKIP(large);
  double error = 0;
  for (const int64_t channel : kSampled) {
    const auto sums =
        OfChannel(large, {0}, channel, 1, [](const auto& v, auto& s) { s[0] += v[0]; });
    const double want = sums[0] / static_cast<double>(Side() * Side());
    error = std::max(error, RelativeError(OutputOf(0, channel), want));
  }
  // A result in f16 is rounded.
  Report(Named("GlobalAveragePool"), error, GetParam().dtype == kHalf ? 5e-4 : 1e-6);
}

TEST_P(LargeMoments, ReduceMean) {
  if (!runner_) return;
  LargeCase large =
      Plain("ReduceMean", {{"axes", Ints{0, 1, 2}}, {"keepdims", int64_t{0}}, {"dtype", "f32"}},
            {Drawn()});
  large.draws[0] = GetParam().draw;
  LAUNCH_OR_SKIP(large);
  double error = 0;
  for (const int64_t channel : kSampled) {
    const auto sums =
        OfChannel(large, {0}, channel, 1, [](const auto& v, auto& s) { s[0] += v[0]; });
    const double want = sums[0] / static_cast<double>(Side() * Side());
    error = std::max(error, RelativeError(OutputOf(0, channel), want));
  }
  Report(Named("ReduceMean to channels"), error, 1e-6);
}
INSTANTIATE_TEST_SUITE_P(Images, LargeMoments, testing::ValuesIn(kNumbers),
                         [](const auto& numbers) { return std::string(numbers.param.name); });

// dy and x - mean are not negative.
TEST_F(LargeStatistics, BatchNormGradStats) {
  if (!runner_) return;
  const Operand channels = Of({kChannels}, DType::kF32);
  LargeCase large = Plain("BatchNormGradStats", {{"epsilon", 0.0}, {"channels_last", int64_t{1}}},
                          {Of(Image()), Of(Image()), channels, channels}, 2);
  large.draws = {{0, kNear}, {1, kFar}, {2, {.low = 999}}, {3, {.low = 4}}};
  LAUNCH_OR_SKIP(large);
  double scale = 0;
  double bias = 0;
  for (const int64_t channel : kSampled) {
    const auto sums = OfChannel(large, {0, 1}, channel, 2, [](const auto& v, auto& s) {
      s[0] += v[0] * (v[1] - 999);
      s[1] += v[0];
    });
    scale = std::max(scale, RelativeError(OutputOf(0, channel), sums[0] / 2));
    bias = std::max(bias, RelativeError(OutputOf(1, channel), sums[1]));
  }
  Report("BatchNormGradStats dscale", scale, 1e-5);
  Report("BatchNormGradStats dbias", bias, 1e-5);
}

TEST_F(LargeStatistics, LayerNormGradOfScale) {
  if (!runner_) return;
  const int64_t rows = Side() * Side();
  const Operand channels = Of({kChannels}, DType::kF32);
  const Operand statistics = Of({rows, 1}, DType::kF32);
  LargeCase large =
      Plain("LayerNormGrad", {{"axis", int64_t{1}}},
            {Of({rows, kChannels}), Of({rows, kChannels}), channels, statistics, statistics}, 3);
  large.draws = {{0, kNear}, {1, kFar}, {3, {.low = 999}}, {4, {.low = 0.5}}};
  LAUNCH_OR_SKIP(large);
  double scale = 0;
  for (const int64_t channel : kSampled) {
    const auto sums = OfChannel(large, {0, 1}, channel, 1,
                                [](const auto& v, auto& s) { s[0] += v[0] * (v[1] - 999) / 2; });
    scale = std::max(scale, RelativeError(OutputOf(1, channel), sums[0]));
  }
  Report("LayerNormGrad dscale", scale, 1e-5);
}

// A program made at run time, which sums over positions.
TEST_F(LargeStatistics, ProgramSums) {
  if (!runner_) return;
  LargeCase large = Plain("Pointwise",
                          {{"program", "t0 = Mul(x0, x1)"},
                           {"results", Ints{0}},
                           {"types", "f32"},
                           {"sums", Ints{0}},
                           {"axes", Ints{0, 1, 2}},
                           {"factor", 1.0}},
                          {Of(Image()), Of(Image())});
  large.draws = {{0, kNear}, {1, kFar}};
  LAUNCH_OR_SKIP(large);
  double error = 0;
  for (const int64_t channel : kSampled) {
    const auto sums =
        OfChannel(large, {0, 1}, channel, 1, [](const auto& v, auto& s) { s[0] += v[0] * v[1]; });
    error = std::max(error, RelativeError(OutputOf(0, channel), sums[0]));
  }
  Report("Pointwise sums", error, 1e-6);
}

// More than 2^31 elements in one sum.
Shape Line() { return {ScaleUnderTest().RowsOf(1)}; }

TEST_F(LargeStatistics, ReduceSumOfAll) {
  if (!runner_) return;
  LargeCase large =
      Plain("ReduceSum", {{"axes", Ints{0, 1}}, {"keepdims", int64_t{0}}, {"dtype", "f32"}},
            {Of({Line()[0], 1})});
  large.draws[0] = kNear;
  LAUNCH_OR_SKIP(large);
  const auto sums = OfChannel(large, {0}, 0, 1, [](const auto& v, auto& s) { s[0] += v[0]; });
  Report("ReduceSum of all", RelativeError(Output(0)[0], sums[0]), 1e-6);
}

TEST_F(LargeStatistics, SquaredNorm) {
  if (!runner_) return;
  LargeCase large = Plain("SquaredNorm", {}, {Of({Line()[0], 1})});
  large.draws[0] = kNear;
  LAUNCH_OR_SKIP(large);
  const auto sums =
      OfChannel(large, {0}, 0, 1, [](const auto& v, auto& s) { s[0] += v[0] * v[0]; });
  Report("SquaredNorm", RelativeError(Output(0)[0], sums[0]), 1e-6);
}

TEST_F(LargeStatistics, MeanSquaredError) {
  if (!runner_) return;
  const Shape shape{Line()[0], 1};
  LargeCase large = Plain("MeanSquaredError", {}, {Of(shape, DType::kF32), Of(shape, DType::kF32)});
  large.draws = {{0, kNear}, {1, {.low = 2, .step = 0x1p-10, .count = 1024}}};
  LAUNCH_OR_SKIP(large);
  const auto sums = OfChannel(
      large, {0, 1}, 0, 1, [](const auto& v, auto& s) { s[0] += (v[0] - v[1]) * (v[0] - v[1]); });
  Report("MeanSquaredError", RelativeError(Output(0)[0], sums[0] / static_cast<double>(shape[0])),
         1e-6);
}

// Rows of four scores and no ignored ones; the loss of target 0.
TEST_F(LargeStatistics, SoftmaxCrossEntropyLoss) {
  if (!runner_) return;
  const int64_t rows = Side() * Side();
  LargeCase large = Plain("SoftmaxCrossEntropyLoss", {{"reduction", "mean"}},
                          {Of({rows, 4}, DType::kF32), Index({rows}, 1)});
  large.draws[0] = kNear;
  LAUNCH_OR_SKIP(large);
  const Draw x = DrawOf(large, 0, seed_);
  const auto sums = SumOverRows(rows, 1, [&](int64_t row, std::vector<double>& s) {
    double sum = 0;
    for (int64_t c = 0; c < 4; ++c) sum += std::exp(x.At(row * 4 + c));
    s[0] += std::log(sum) - x.At(row * 4);
  });
  Report("SoftmaxCrossEntropyLoss",
         RelativeError(Output(0)[0], sums[0] / static_cast<double>(rows)), 1e-6);
}

// One element that is not finite is found wherever it lies, and nothing where there is none.
TEST_F(LargeStatistics, AllFinite) {
  if (!runner_) return;
  LargeCase large = Plain("AllFinite", {}, {Of(Line(), DType::kF32)});
  large.draws[0] = kNear;
  LAUNCH_OR_SKIP(large);
  EXPECT_EQ(Output(0)[0], 1);
  const int64_t mark = ScaleUnderTest().mark;
  const int64_t count = Line()[0];
  for (const int64_t at : {int64_t{0}, mark / 2 - 1, mark / 2, mark - 1, mark, count - 1}) {
    auto* element = const_cast<std::byte*>(operands_.inputs[0]) + 4 * at;
    float before = 0;
    ASSERT_TRUE(
        runner_->backend().Read(std::as_writable_bytes(std::span(&before, 1)), element).ok());
    const float infinity = std::numeric_limits<float>::infinity();
    ASSERT_TRUE(runner_->backend().Write(element, std::as_bytes(std::span(&infinity, 1))).ok());
    ASSERT_TRUE(runner_->Again(operands_).ok());
    EXPECT_EQ(Output(0)[0], 0) << "element " << at << " of " << count;
    ASSERT_TRUE(runner_->backend().Write(element, std::as_bytes(std::span(&before, 1))).ok());
  }
}

// The place of the largest element of a line of more than 2^31.
class LargeExtremes : public LargeStatistics, public testing::WithParamInterface<const char*> {};

TEST_P(LargeExtremes, FindTheirPlace) {
  if (!runner_) return;
  const std::string op = GetParam();
  const int64_t columns = ScaleUnderTest().columns;
  const int64_t rows = ScaleUnderTest().RowsOf(columns);
  LargeCase large =
      op == "ArgMax"
          ? Plain(
                "ArgMax",
                {{"axis", int64_t{0}}, {"keepdims", int64_t{1}}, {"select_last_index", int64_t{0}}},
                {Of({rows * columns})})
          : Plain("GlobalMaxPool", {{"channels_last", int64_t{1}}}, {Of({1, rows, columns, 1})}, 2);
  large.draws[0] = kNear;
  const size_t result = op == "ArgMax" ? 0 : 1;
  LAUNCH_OR_SKIP(large);
  const int64_t mark = ScaleUnderTest().mark;
  const int64_t count = rows * columns;
  // Each larger than the one before, by a half of which f16 holds all.
  int number = 0;
  for (const int64_t at : {int64_t{1}, mark - 1, mark, mark + 1, count - 1}) {
    auto* element = const_cast<std::byte*>(operands_.inputs[0]) + 2 * at;
    const uint16_t value = FloatToHalf(2.0F + 0.5F * static_cast<float>(number++));
    ASSERT_TRUE(runner_->backend().Write(element, std::as_bytes(std::span(&value, 1))).ok());
    ASSERT_TRUE(runner_->Again(operands_).ok());
    EXPECT_EQ(Output(result)[0], static_cast<double>(at)) << op;
  }
}
INSTANTIATE_TEST_SUITE_P(Of, LargeExtremes, testing::Values("ArgMax", "GlobalMaxPool"),
                         [](const auto& op) { return std::string(op.param); });

}  // namespace
}  // namespace wsi
