// The CPU's own kernels against plain loops in fp64, and the same bits on any number
// of threads. Sizes span several chunks and leave odd remainders.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/backends/cpu_launch.h"

namespace wsi {
namespace {

using Vector = std::vector<double>;
constexpr double kEpsilon = 1e-3;

size_t At(int64_t i) { return static_cast<size_t>(i); }

struct ChannelCase {
  int64_t positions;
  int64_t channels;
};

class CpuBatchNorm : public testing::TestWithParam<ChannelCase> {
 protected:
  int64_t p_ = GetParam().positions;
  int64_t c_ = GetParam().channels;
  Shape shape_ = {1, p_, 1, c_};
  Shape vector_ = {c_};

  double InverseDeviation(const Vector& var, size_t c) const {
    return 1.0 / std::sqrt(var[c] + kEpsilon);
  }
  Tensor Variances() const {
    Tensor var = Numbers(vector_, 9);
    for (float& v : var.data<float>()) v = v * v + 0.1F;
    return var;
  }
};

TEST_P(CpuBatchNorm, Stats) {
  TestLaunch launch{.op = "BatchNormStats"};
  Tensor x = Numbers(shape_, 1);
  // A mean far from zero: naive sums of squares would cancel.
  for (float& v : x.data<float>()) v = v * 0.01F + 30.0F;
  const Vector values = x.ToDoubles();
  launch.inputs.push_back(std::move(x));
  launch.outputs = {{DType::kF32, vector_}, {DType::kF32, vector_}};
  Vector mean(At(c_));
  Vector var(At(c_));
  for (size_t i = 0; i < values.size(); ++i) {
    mean[i % mean.size()] += values[i] / static_cast<double>(p_);
  }
  for (size_t i = 0; i < values.size(); ++i) {
    const double d = values[i] - mean[i % mean.size()];
    var[i % mean.size()] += d * d / static_cast<double>(p_);
  }
  const auto results = RunLaunch(launch);
  ExpectNear(results[0], mean, 1e-6);
  const Vector actual = results[1].ToDoubles();
  for (size_t c = 0; c < var.size(); ++c) EXPECT_NEAR(actual[c], var[c], 1e-3 * var[c] + 1e-9);
}

TEST_P(CpuBatchNorm, Apply) {
  for (const bool residual : {false, true}) {
    for (const int64_t relu : {0, 1}) {
      TestLaunch launch{.op = "BatchNormApply",
                        .attributes = {{"epsilon", kEpsilon}, {"relu", relu}}};
      launch.inputs.push_back(Numbers(shape_, 1));
      for (uint64_t i = 2; i < 5; ++i) launch.inputs.push_back(Numbers(vector_, i));
      launch.inputs.push_back(Variances());
      if (residual) launch.inputs.push_back(Numbers(shape_, 6));
      launch.outputs = {{DType::kF32, shape_}};
      const Vector x = launch.inputs[0].ToDoubles();
      const Vector scale = launch.inputs[1].ToDoubles();
      const Vector bias = launch.inputs[2].ToDoubles();
      const Vector mean = launch.inputs[3].ToDoubles();
      const Vector var = launch.inputs[4].ToDoubles();
      const Vector r = residual ? launch.inputs[5].ToDoubles() : Vector(x.size());
      Vector y(x.size());
      for (size_t i = 0; i < x.size(); ++i) {
        const size_t c = i % At(c_);
        y[i] = (x[i] - mean[c]) * scale[c] * InverseDeviation(var, c) + bias[c] + r[i];
        if (relu != 0) y[i] = std::max(0.0, y[i]);
      }
      ExpectNear(RunLaunch(launch)[0], y, 1e-5);
    }
  }
}

TEST_P(CpuBatchNorm, Gradients) {
  for (const int64_t relu : {0, 1}) {
    const Attributes attributes = {{"epsilon", kEpsilon}, {"relu", relu}};
    TestLaunch stats{.op = "BatchNormGradStats", .attributes = attributes};
    stats.inputs.push_back(Numbers(shape_, 1));
    stats.inputs.push_back(Numbers(shape_, 2));
    stats.inputs.push_back(Numbers(vector_, 3));
    stats.inputs.push_back(Variances());
    if (relu != 0) stats.inputs.push_back(Numbers(shape_, 4));
    stats.outputs = {{DType::kF32, vector_}, {DType::kF32, vector_}, {DType::kF32, shape_}};
    const Vector dy = stats.inputs[0].ToDoubles();
    const Vector x = stats.inputs[1].ToDoubles();
    const Vector mean = stats.inputs[2].ToDoubles();
    const Vector var = stats.inputs[3].ToDoubles();
    const Vector y = relu != 0 ? stats.inputs[4].ToDoubles() : Vector(dy.size(), 1.0);
    Vector dz(dy.size());
    Vector dscale(At(c_));
    Vector dbias(At(c_));
    for (size_t i = 0; i < dy.size(); ++i) {
      const size_t c = i % At(c_);
      dz[i] = y[i] > 0 ? dy[i] : 0.0;
      dscale[c] += dz[i] * (x[i] - mean[c]) * InverseDeviation(var, c);
      dbias[c] += dz[i];
    }
    const auto results = RunLaunch(stats);
    ExpectNear(results[0], dscale, 1e-4);
    ExpectNear(results[1], dbias, 1e-4);
    ExpectNear(results[2], dz, 0);

    TestLaunch apply{.op = "BatchNormGradApply", .attributes = attributes};
    apply.inputs.push_back(Numbers(shape_, 1));
    apply.inputs.push_back(Numbers(shape_, 2));
    for (const uint64_t seed : {7, 3}) apply.inputs.push_back(Numbers(vector_, seed));
    apply.inputs.push_back(Variances());
    for (const uint64_t seed : {10, 11}) apply.inputs.push_back(Numbers(vector_, seed));
    if (relu != 0) apply.inputs.push_back(Numbers(shape_, 4));
    apply.outputs = {{DType::kF32, shape_}};
    const Vector scale = apply.inputs[2].ToDoubles();
    const Vector ds = apply.inputs[5].ToDoubles();
    const Vector db = apply.inputs[6].ToDoubles();
    Vector dx(dy.size());
    Vector frozen(dy.size());
    for (size_t i = 0; i < dy.size(); ++i) {
      const size_t c = i % At(c_);
      const double inverse = InverseDeviation(var, c);
      const double xhat = (x[i] - mean[c]) * inverse;
      const double m = static_cast<double>(p_);
      dx[i] = scale[c] * inverse * (dz[i] - db[c] / m - xhat * ds[c] / m);
      frozen[i] = dz[i] * scale[c] * inverse;
    }
    ExpectNear(RunLaunch(apply)[0], dx, 1e-5);

    TestLaunch frozen_launch{.op = "BatchNormGradFrozen", .attributes = attributes};
    frozen_launch.inputs.push_back(Numbers(shape_, 1));
    frozen_launch.inputs.push_back(Numbers(vector_, 7));
    frozen_launch.inputs.push_back(Variances());
    if (relu != 0) frozen_launch.inputs.push_back(Numbers(shape_, 4));
    frozen_launch.outputs = {{DType::kF32, shape_}};
    ExpectNear(RunLaunch(frozen_launch)[0], frozen, 1e-5);
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, CpuBatchNorm,
                         testing::Values(ChannelCase{1, 3}, ChannelCase{7, 64},
                                         ChannelCase{1031, 3}, ChannelCase{5003, 24},
                                         ChannelCase{9001, 64}, ChannelCase{131, 1030},
                                         ChannelCase{70001, 1}));

TEST(CpuGroupNorm, ForwardAndGradient) {
  for (const int64_t groups : {1, 3, 12}) {
    const int64_t images = 2;
    const int64_t positions = 1500;
    const int64_t channels = 12;
    const int64_t width = channels / groups;
    const Shape shape = {images, positions, channels};
    const Attributes attributes = {{"num_groups", groups}, {"epsilon", kEpsilon}};
    TestLaunch forward{.op = "GroupNormalization", .attributes = attributes};
    forward.inputs.push_back(Numbers(shape, 1));
    forward.inputs.push_back(Numbers({channels}, 2));
    forward.inputs.push_back(Numbers({channels}, 3));
    forward.outputs = {
        {DType::kF32, shape}, {DType::kF32, {images, groups}}, {DType::kF32, {images, groups}}};
    const Vector x = forward.inputs[0].ToDoubles();
    const Vector scale = forward.inputs[1].ToDoubles();
    const Vector bias = forward.inputs[2].ToDoubles();
    const auto group_of = [&](size_t i) {
      const int64_t at = static_cast<int64_t>(i);
      return At(at / (positions * channels) * groups + at % channels / width);
    };
    const double m = static_cast<double>(positions * width);
    Vector mean(At(images * groups));
    Vector inverse(mean.size());
    for (size_t i = 0; i < x.size(); ++i) mean[group_of(i)] += x[i] / m;
    for (size_t i = 0; i < x.size(); ++i) {
      inverse[group_of(i)] += std::pow(x[i] - mean[group_of(i)], 2) / m;
    }
    for (double& v : inverse) v = 1.0 / std::sqrt(v + kEpsilon);
    Vector y(x.size());
    for (size_t i = 0; i < x.size(); ++i) {
      const size_t g = group_of(i);
      y[i] = (x[i] - mean[g]) * inverse[g] * scale[i % At(channels)] + bias[i % At(channels)];
    }
    auto results = RunLaunch(forward);
    ExpectNear(results[0], y, 1e-5);
    ExpectNear(results[1], mean, 1e-6);
    ExpectNear(results[2], inverse, 1e-5);

    TestLaunch backward{.op = "GroupNormGrad", .attributes = attributes};
    backward.inputs.push_back(Numbers(shape, 5));
    backward.inputs.push_back(Numbers(shape, 1));
    backward.inputs.push_back(Numbers({channels}, 2));
    backward.inputs.push_back(std::move(results[1]));
    backward.inputs.push_back(std::move(results[2]));
    backward.outputs = {{DType::kF32, shape}, {DType::kF32, {channels}}, {DType::kF32, {channels}}};
    const Vector dy = backward.inputs[0].ToDoubles();
    Vector sum(mean.size());
    Vector dot(mean.size());
    Vector dscale(At(channels));
    Vector dbias(At(channels));
    for (size_t i = 0; i < x.size(); ++i) {
      const size_t g = group_of(i);
      const size_t c = i % At(channels);
      const double xhat = (x[i] - mean[g]) * inverse[g];
      sum[g] += dy[i] * scale[c];
      dot[g] += dy[i] * scale[c] * xhat;
      dscale[c] += dy[i] * xhat;
      dbias[c] += dy[i];
    }
    Vector dx(x.size());
    for (size_t i = 0; i < x.size(); ++i) {
      const size_t g = group_of(i);
      const double xhat = (x[i] - mean[g]) * inverse[g];
      dx[i] = inverse[g] * (dy[i] * scale[i % At(channels)] - sum[g] / m - xhat * dot[g] / m);
    }
    const auto gradients = RunLaunch(backward);
    ExpectNear(gradients[0], dx, 1e-5);
    ExpectNear(gradients[1], dscale, 1e-4);
    ExpectNear(gradients[2], dbias, 1e-4);
  }
}

TEST(CpuReduce, SumsOverAnyAxes) {
  const Shape shape = {3, 70, 41, 5};
  for (int mask = 0; mask < 16; ++mask) {
    std::vector<int64_t> axes;
    std::vector<int64_t> kept;
    for (int a = 0; a < 4; ++a) {
      if ((mask >> a & 1) != 0) axes.push_back(a);
      kept.push_back((mask >> a & 1) != 0 ? 1 : shape[a]);
    }
    const Shape out = Shape::Make(kept).value();
    TestLaunch launch{.op = "ReduceSum", .attributes = {{"axes", axes}, {"keepdims", int64_t{1}}}};
    launch.inputs.push_back(Numbers(shape, 1));
    launch.outputs = {{DType::kF32, out}};
    const Vector x = launch.inputs[0].ToDoubles();
    Vector expected(At(out.ElementCount()));
    double terms = static_cast<double>(x.size()) / static_cast<double>(expected.size());
    for (size_t i = 0; i < x.size(); ++i) {
      int64_t rest = static_cast<int64_t>(i);
      int64_t index[4] = {};
      for (int a = 3; a >= 0; --a) {
        index[a] = (mask >> a & 1) != 0 ? 0 : rest % shape[a];
        rest /= shape[a];
      }
      expected[At(((index[0] * out[1] + index[1]) * out[2] + index[2]) * out[3] + index[3])] +=
          x[i];
    }
    ExpectNear(RunLaunch(launch)[0], expected, 1e-5);
    launch.op = "ReduceMean";
    for (double& v : expected) v /= terms;
    ExpectNear(RunLaunch(launch)[0], expected, 1e-6);
  }
}

// A sum of a long column in fp32 would stop growing at 2^24.
TEST(CpuReduce, LongSumsKeepTheirDigits) {
  const int64_t n = 20'000'003;
  TestLaunch launch{.op = "ReduceSum", .attributes = {{"axes", std::vector<int64_t>{0}}}};
  launch.inputs.push_back(Tensor::Of<float>({n}, std::vector<float>(At(n), 1.0F)));
  launch.outputs = {{DType::kF32, {}}};
  EXPECT_FLOAT_EQ(RunLaunch(launch)[0].data<float>()[0], 20'000'003.0F);
  launch.op = "SquaredNorm";
  launch.outputs = {{DType::kF64, {}}};
  EXPECT_EQ(RunLaunch(launch)[0].data<double>()[0], 20'000'003.0);
}

TEST(CpuLinear, GemmInAllOrientations) {
  for (const int64_t m : {1, 3, 300}) {
    for (int mask = 0; mask < 4; ++mask) {
      const int64_t k = 77;
      const int64_t n = 259;
      const int64_t ta = mask & 1;
      const int64_t tb = mask >> 1;
      TestLaunch launch{
          .op = "Gemm",
          .attributes = {{"alpha", 0.5}, {"beta", 2.0}, {"transA", ta}, {"transB", tb}}};
      launch.inputs.push_back(Numbers(ta != 0 ? Shape{k, m} : Shape{m, k}, 1));
      launch.inputs.push_back(Numbers(tb != 0 ? Shape{n, k} : Shape{k, n}, 2));
      launch.inputs.push_back(Numbers({n}, 3));
      launch.outputs = {{DType::kF32, {m, n}}};
      const Vector a = launch.inputs[0].ToDoubles();
      const Vector b = launch.inputs[1].ToDoubles();
      const Vector c = launch.inputs[2].ToDoubles();
      Vector y;
      for (int64_t i = 0; i < m; ++i) {
        for (int64_t j = 0; j < n; ++j) {
          double sum = 0;
          for (int64_t l = 0; l < k; ++l) {
            sum += a[At(ta != 0 ? l * m + i : i * k + l)] * b[At(tb != 0 ? j * k + l : l * n + j)];
          }
          y.push_back(0.5 * sum + 2.0 * c[At(j)]);
        }
      }
      ExpectNear(RunLaunch(launch)[0], y, 1e-5);
    }
  }
}

TEST(CpuLinear, MatMulBroadcastsBatches) {
  TestLaunch launch{.op = "MatMul"};
  launch.inputs.push_back(Numbers({3, 1, 4, 5}, 1));
  launch.inputs.push_back(Numbers({2, 5, 6}, 2));
  launch.outputs = {{DType::kF32, {3, 2, 4, 6}}};
  const Vector a = launch.inputs[0].ToDoubles();
  const Vector b = launch.inputs[1].ToDoubles();
  Vector y;
  for (int64_t p = 0; p < 3; ++p) {
    for (int64_t q = 0; q < 2; ++q) {
      for (int64_t i = 0; i < 4; ++i) {
        for (int64_t j = 0; j < 6; ++j) {
          double sum = 0;
          for (int64_t l = 0; l < 5; ++l) {
            sum += a[At((p * 4 + i) * 5 + l)] * b[At((q * 5 + l) * 6 + j)];
          }
          y.push_back(sum);
        }
      }
    }
  }
  ExpectNear(RunLaunch(launch)[0], y, 1e-6);
}

}  // namespace
}  // namespace wsi
