// Broadcasting, data movement, losses and updates on the CPU against plain loops.
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "runtime/base/philox.h"
#include "tests/backends/cpu_launch.h"

namespace wsi {
namespace {

using Vector = std::vector<double>;

size_t At(int64_t i) { return static_cast<size_t>(i); }

TEST(CpuPointwise, BroadcastsEveryPatternOfThreeAxes) {
  const Shape out = {5, 67, 129};
  for (int a_mask = 0; a_mask < 8; ++a_mask) {
    for (const int b_mask : {0, 1, 4, 7}) {
      if ((a_mask & b_mask) != 0) continue;
      const auto shape_of = [&](int mask) {
        return Shape{(mask & 1) != 0 ? 1 : 5, (mask & 2) != 0 ? 1 : 67, (mask & 4) != 0 ? 1 : 129};
      };
      TestLaunch launch{.op = "Sub"};
      launch.inputs.push_back(Numbers(shape_of(a_mask), 1));
      launch.inputs.push_back(Numbers(shape_of(b_mask), 2));
      launch.outputs = {{DType::kF32, out}};
      const Vector a = launch.inputs[0].ToDoubles();
      const Vector b = launch.inputs[1].ToDoubles();
      const auto at = [&](const Vector& v, int mask, int64_t i, int64_t j, int64_t k) {
        const Shape s = shape_of(mask);
        return v[At(((s[0] == 1 ? 0 : i) * s[1] + (s[1] == 1 ? 0 : j)) * s[2] +
                    (s[2] == 1 ? 0 : k))];
      };
      Vector y;
      for (int64_t i = 0; i < 5; ++i) {
        for (int64_t j = 0; j < 67; ++j) {
          for (int64_t k = 0; k < 129; ++k) {
            y.push_back(at(a, a_mask, i, j, k) - at(b, b_mask, i, j, k));
          }
        }
      }
      ExpectNear(RunLaunch(launch)[0], y, 1e-6);
    }
  }
}

TEST(CpuPointwise, LongVectorsAreSplit) {
  const int64_t n = 300'001;
  TestLaunch launch{.op = "Add"};
  launch.inputs.push_back(Numbers({n}, 1));
  launch.inputs.push_back(Numbers({1}, 2));
  launch.outputs = {{DType::kF32, {n}}};
  Vector y = launch.inputs[0].ToDoubles();
  const double b = launch.inputs[1].ToDoubles()[0];
  for (double& v : y) v += b;
  ExpectNear(RunLaunch(launch)[0], y, 1e-6);
}

TEST(CpuMovement, TransposesEveryOrder) {
  const Shape shape = {3, 37, 20, 41};
  std::vector<int64_t> perm = {0, 1, 2, 3};
  do {
    TestLaunch launch{.op = "Transpose", .attributes = {{"perm", perm}}};
    launch.inputs.push_back(Numbers(shape, 1));
    launch.outputs = {{DType::kF32, PermuteShape(shape, perm)}};
    const Tensor expected = launch.inputs[0].Permute(perm).value();
    EXPECT_TRUE(RunLaunch(launch)[0] == expected) << testing::PrintToString(perm);
  } while (std::next_permutation(perm.begin(), perm.end()));
}

TEST(CpuMovement, ImageToChannelsLast) {
  TestLaunch launch{.op = "Transpose", .attributes = {{"perm", std::vector<int64_t>{0, 2, 3, 1}}}};
  launch.inputs.push_back(Numbers({1, 3, 250, 301}, 1));
  launch.outputs = {{DType::kF32, {1, 250, 301, 3}}};
  const std::vector<int64_t> perm = {0, 2, 3, 1};
  EXPECT_TRUE(RunLaunch(launch)[0] == launch.inputs[0].Permute(perm).value());
}

TEST(CpuMovement, SlicesAndTheirGradients) {
  const Attributes attributes = {{"starts", std::vector<int64_t>{19, 2}},
                                 {"ends", std::vector<int64_t>{-100, 9}},
                                 {"axes", std::vector<int64_t>{1, 2}},
                                 {"steps", std::vector<int64_t>{-3, 2}}};
  TestLaunch forward{.op = "Slice", .attributes = attributes};
  forward.inputs.push_back(Numbers({2, 20, 10}, 1));
  forward.outputs = {{DType::kF32, {2, 7, 4}}};
  TestLaunch backward{.op = "SliceGrad", .attributes = attributes};
  backward.attributes.Set("input_shape", std::vector<int64_t>{2, 20, 10});
  backward.inputs.push_back(Numbers({2, 7, 4}, 2));
  backward.outputs = {{DType::kF32, {2, 20, 10}}};
  const Vector x = forward.inputs[0].ToDoubles();
  const Vector dy = backward.inputs[0].ToDoubles();
  Vector y;
  Vector dx(x.size());
  for (int64_t n = 0; n < 2; ++n) {
    for (int64_t i = 0; i < 7; ++i) {
      for (int64_t j = 0; j < 4; ++j) {
        const size_t at = At((n * 20 + 19 - 3 * i) * 10 + 2 + 2 * j);
        dx[at] = dy[y.size()];
        y.push_back(x[at]);
      }
    }
  }
  ExpectNear(RunLaunch(forward)[0], y, 0);
  ExpectNear(RunLaunch(backward)[0], dx, 0);
}

TEST(CpuMovement, SliceOutsideTheTensorIsRefused) {
  TestLaunch launch{.op = "Slice",
                    .attributes = {{"starts", std::vector<int64_t>{3}},
                                   {"axes", std::vector<int64_t>{0}},
                                   {"steps", std::vector<int64_t>{1}}}};
  launch.inputs.push_back(Numbers({5}, 1));
  launch.outputs = {{DType::kF32, {3}}};
  const auto result = TryLaunch(launch, 1);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.status().message(), "Slice 'test' on cpu: slice leaves the tensor [5]");
}

TEST(CpuMovement, ConcatenatesAndPads) {
  TestLaunch concat{.op = "Concat", .attributes = {{"axis", int64_t{-1}}}};
  concat.inputs.push_back(Numbers({1, 90, 40}, 1));
  concat.inputs.push_back(Numbers({1, 90, 3}, 2));
  concat.outputs = {{DType::kF32, {1, 90, 43}}};
  const Vector a = concat.inputs[0].ToDoubles();
  const Vector b = concat.inputs[1].ToDoubles();
  Vector y;
  for (int64_t i = 0; i < 90; ++i) {
    for (int64_t j = 0; j < 40; ++j) y.push_back(a[At(i * 40 + j)]);
    for (int64_t j = 0; j < 3; ++j) y.push_back(b[At(i * 3 + j)]);
  }
  ExpectNear(RunLaunch(concat)[0], y, 0);

  TestLaunch pad{.op = "Pad",
                 .attributes = {{"pads", std::vector<int64_t>{1, -2, 0, 3}}, {"value", 0.5}}};
  pad.inputs.push_back(Numbers({4, 6}, 3));
  pad.outputs = {{DType::kF32, {5, 7}}};
  const Vector x = pad.inputs[0].ToDoubles();
  Vector padded;
  for (int64_t i = 0; i < 5; ++i) {
    for (int64_t j = 0; j < 7; ++j) {
      padded.push_back(i >= 1 && j + 2 < 6 ? x[At((i - 1) * 6 + j + 2)] : 0.5);
    }
  }
  ExpectNear(RunLaunch(pad)[0], padded, 0);
}

TEST(CpuMovement, FillsAndExpands) {
  TestLaunch fill{.op = "Fill", .attributes = {{"value", 7.0}}};
  fill.outputs = {{DType::kI64, {3, 50000}}};
  ExpectNear(RunLaunch(fill)[0], Vector(150000, 7.0), 0);
  TestLaunch expand{.op = "Expand"};
  expand.inputs.push_back(Numbers({70, 1}, 1));
  expand.outputs = {{DType::kF32, {2, 70, 600}}};
  const Vector x = expand.inputs[0].ToDoubles();
  Vector y;
  for (int64_t i = 0; i < 2 * 70 * 600; ++i) y.push_back(x[At(i / 600 % 70)]);
  ExpectNear(RunLaunch(expand)[0], y, 0);
}

TEST(CpuLoss, CrossEntropyWithWeightsAndIgnoredRows) {
  const int64_t n = 3;
  const int64_t classes = 5;
  const int64_t d = 700;
  const Attributes attributes = {{"reduction", std::string("mean")}, {"ignore_index", int64_t{2}}};
  TestLaunch forward{.op = "SoftmaxCrossEntropyLoss", .attributes = attributes};
  forward.inputs.push_back(Numbers({n, classes, d}, 1));
  std::vector<int64_t> target;
  for (int64_t i = 0; i < n * d; ++i) target.push_back((i * 7 + i / 11) % classes);
  forward.inputs.push_back(Ints({n, d}, target));
  forward.inputs.push_back(Numbers({classes}, 3));
  for (float& w : forward.inputs[2].data<float>()) w = std::abs(w) + 0.1F;
  forward.outputs = {{DType::kF32, {}}, {DType::kF32, {n, classes, d}}};
  const Vector x = forward.inputs[0].ToDoubles();
  const Vector weight = forward.inputs[2].ToDoubles();
  Vector log_prob(x.size());
  double loss = 0;
  double divisor = 0;
  for (int64_t r = 0; r < n * d; ++r) {
    const auto at = [&](int64_t c) { return At((r / d * classes + c) * d + r % d); };
    double sum = 0;
    for (int64_t c = 0; c < classes; ++c) sum += std::exp(x[at(c)]);
    for (int64_t c = 0; c < classes; ++c) log_prob[at(c)] = x[at(c)] - std::log(sum);
    const int64_t t = target[At(r)];
    if (t == 2) continue;
    loss -= weight[At(t)] * log_prob[at(t)];
    divisor += weight[At(t)];
  }
  auto results = RunLaunch(forward);
  ExpectNear(results[0], {loss / divisor}, 1e-6);
  ExpectNear(results[1], log_prob, 1e-6);

  TestLaunch backward{.op = "SoftmaxCrossEntropyGrad", .attributes = attributes};
  backward.inputs.push_back(Tensor::Of<float>({}, std::vector<float>{0.5F}));
  backward.inputs.push_back(std::move(results[1]));
  backward.inputs.push_back(Ints({n, d}, target));
  backward.inputs.push_back(forward.inputs[2].Clone().value());
  backward.outputs = {{DType::kF32, {n, classes, d}}};
  Vector dx(x.size());
  for (int64_t r = 0; r < n * d; ++r) {
    const int64_t t = target[At(r)];
    for (int64_t c = 0; t != 2 && c < classes; ++c) {
      const size_t at = At((r / d * classes + c) * d + r % d);
      dx[at] = 0.5 * weight[At(t)] / divisor * (std::exp(log_prob[at]) - (c == t ? 1.0 : 0.0));
    }
  }
  ExpectNear(RunLaunch(backward)[0], dx, 1e-6);
}

TEST(CpuLoss, TargetOutsideTheClassesIsAnError) {
  TestLaunch launch{.op = "SoftmaxCrossEntropyLoss"};
  launch.inputs.push_back(Numbers({2, 3}, 1));
  launch.inputs.push_back(Ints({2}, {0, 3}));
  launch.outputs = {{DType::kF32, {}}};
  const auto result = TryLaunch(launch, 2);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.status().code(), ErrorCode::kInvalidInput);
  EXPECT_EQ(result.status().message(),
            "SoftmaxCrossEntropyLoss 'test': target 1 is 3; classes are 0 to 2");
}

TEST(CpuLoss, ElementLosses) {
  const int64_t n = 30'011;
  for (const bool sigmoid : {false, true}) {
    TestLaunch forward{.op = sigmoid ? "SigmoidCrossEntropyLoss" : "MeanSquaredError"};
    forward.inputs.push_back(Numbers({n}, 1));
    forward.inputs.push_back(Numbers({n}, 2));
    forward.outputs = {{DType::kF32, {}}};
    TestLaunch backward{.op = sigmoid ? "SigmoidCrossEntropyGrad" : "MeanSquaredErrorGrad"};
    backward.inputs.push_back(Tensor::Of<float>({}, std::vector<float>{2.0F}));
    backward.inputs.push_back(Numbers({n}, 1));
    backward.inputs.push_back(Numbers({n}, 2));
    backward.outputs = {{DType::kF32, {n}}};
    const Vector x = forward.inputs[0].ToDoubles();
    const Vector t = forward.inputs[1].ToDoubles();
    double loss = 0;
    Vector dx;
    for (size_t i = 0; i < x.size(); ++i) {
      const double p = 1.0 / (1.0 + std::exp(-x[i]));
      loss += sigmoid ? -t[i] * std::log(p) - (1 - t[i]) * std::log(1 - p)
                      : (x[i] - t[i]) * (x[i] - t[i]);
      dx.push_back(2.0 * (sigmoid ? p - t[i] : 2 * (x[i] - t[i])) / static_cast<double>(n));
    }
    ExpectNear(RunLaunch(forward)[0], {loss / static_cast<double>(n)}, 1e-6);
    ExpectNear(RunLaunch(backward)[0], dx, 1e-6);
  }
}

TEST(CpuSoftmax, AlongInnerAndOuterAxes) {
  for (const int64_t axis : {0, 1, -1}) {
    for (const char* op : {"Softmax", "LogSoftmax"}) {
      const Shape shape = {31, 29, 300};
      TestLaunch launch{.op = op, .attributes = {{"axis", axis}}};
      launch.inputs.push_back(Numbers(shape, 1));
      launch.outputs = {{DType::kF32, shape}};
      const Vector x = launch.inputs[0].ToDoubles();
      const int64_t stride = axis == 0 ? 29 * 300 : (axis == 1 ? 300 : 1);
      const int64_t size = axis == 0 ? 31 : (axis == 1 ? 29 : 300);
      Vector y(x.size());
      for (size_t i = 0; i < x.size(); ++i) {
        const int64_t at = static_cast<int64_t>(i);
        const int64_t start = at / (stride * size) * stride * size + at % stride;
        double sum = 0;
        for (int64_t k = 0; k < size; ++k) sum += std::exp(x[At(start + k * stride)]);
        y[i] = launch.op == "Softmax" ? std::exp(x[i]) / sum : x[i] - std::log(sum);
      }
      ExpectNear(RunLaunch(launch)[0], y, 1e-6);
    }
  }
}

TEST(CpuOptimizer, UpdatesAsPyTorchDoes) {
  const int64_t n = 70'003;
  const float lr = 0.1F;
  const auto scalar = [](float v) { return Tensor::Of<float>({}, std::vector<float>{v}); };
  TestLaunch momentum{
      .op = "MomentumUpdate",
      .attributes = {{"momentum", 0.9}, {"nesterov", int64_t{1}}, {"weight_decay", 0.01}}};
  for (const uint64_t seed : {1, 2, 3}) momentum.inputs.push_back(Numbers({n}, seed));
  momentum.inputs.push_back(scalar(lr));
  momentum.inputs.push_back(scalar(0.5F));
  momentum.outputs = {{DType::kF32, {n}}, {DType::kF32, {n}}};
  TestLaunch adam{.op = "AdamUpdate",
                  .attributes = {{"beta1", 0.9},
                                 {"beta2", 0.99},
                                 {"epsilon", 1e-6},
                                 {"weight_decay", 0.01},
                                 {"decoupled", int64_t{1}}}};
  for (const uint64_t seed : {1, 2, 3, 4}) adam.inputs.push_back(Numbers({n}, seed));
  for (float& v : adam.inputs[3].data<float>()) v = v * v;
  adam.inputs.push_back(scalar(lr));
  adam.inputs.push_back(Ints({}, {3}));
  adam.outputs = {{DType::kF32, {n}}, {DType::kF32, {n}}, {DType::kF32, {n}}};
  const Vector p = adam.inputs[0].ToDoubles();
  const Vector g = adam.inputs[1].ToDoubles();
  const Vector m = adam.inputs[2].ToDoubles();
  const Vector v = adam.inputs[3].ToDoubles();
  Vector momentum_p;
  Vector adam_p;
  for (size_t i = 0; i < p.size(); ++i) {
    const double grad = g[i] * 0.5 + 0.01 * p[i];
    const double velocity = 0.9 * m[i] + grad;
    momentum_p.push_back(p[i] - 0.1 * (grad + 0.9 * velocity));
    const double m1 = 0.9 * m[i] + 0.1 * g[i];
    const double v1 = 0.99 * v[i] + 0.01 * g[i] * g[i];
    const double denominator = std::sqrt(v1) / std::sqrt(1 - std::pow(0.99, 3)) + 1e-6;
    adam_p.push_back(p[i] * (1 - 0.1 * 0.01) - 0.1 / (1 - std::pow(0.9, 3)) * m1 / denominator);
  }
  ExpectNear(RunLaunch(momentum)[0], momentum_p, 1e-5);
  ExpectNear(RunLaunch(adam)[0], adam_p, 1e-5);
}

TEST(CpuDropout, KeepsWhatPhiloxSays) {
  const int64_t n = 50'003;
  TestLaunch launch{.op = "Dropout", .attributes = {{"ratio", 0.3}, {"seed_id", int64_t{12}}}};
  launch.inputs.push_back(Numbers({n}, 1));
  launch.inputs.push_back(Ints({}, {1234567890123}));
  launch.inputs.push_back(Ints({}, {17}));
  launch.outputs = {{DType::kF32, {n}}, {DType::kBool, {n}}};
  const Vector x = launch.inputs[0].ToDoubles();
  const PhiloxStream random(1234567890123, 17, 12);
  Vector y;
  double kept = 0;
  for (int64_t i = 0; i < n; ++i) {
    const bool keep = random.Uniform(i) >= 0.3F;
    kept += keep ? 1 : 0;
    y.push_back(keep ? x[At(i)] / 0.7 : 0.0);
  }
  EXPECT_NEAR(kept / static_cast<double>(n), 0.7, 0.01);
  auto results = RunLaunch(launch);
  ExpectNear(results[0], y, 1e-6);
  TestLaunch backward{.op = "DropoutGrad", .attributes = {{"ratio", 0.3}}};
  backward.inputs.push_back(Numbers({n}, 1));
  backward.inputs.push_back(std::move(results[1]));
  backward.outputs = {{DType::kF32, {n}}};
  ExpectNear(RunLaunch(backward)[0], y, 1e-6);
}

TEST(CpuCast, RoundsTruncatesAndSaturates) {
  const std::vector<float> values = {
      1.9F, -1.9F, 300.0F, -5.0F, 0.0F, std::numeric_limits<float>::quiet_NaN(), 1e30F};
  const std::pair<DType, Vector> cases[] = {
      {DType::kU8, {1, 0, 255, 0, 0, 0, 255}},
      {DType::kI32, {1, -1, 300, -5, 0, 0, 2147483647.0}},
      {DType::kBool, {1, 1, 1, 1, 0, 1, 1}},
  };
  for (const auto& [dtype, expected] : cases) {
    TestLaunch launch{.op = "Cast", .attributes = {{"to", std::string(DTypeName(dtype))}}};
    launch.inputs.push_back(Tensor::Of<float>({7}, values));
    launch.outputs = {{dtype, {7}}};
    ExpectNear(RunLaunch(launch)[0], expected, 0);
  }
}

}  // namespace
}  // namespace wsi
