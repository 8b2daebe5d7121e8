// Pooling on the CPU against plain loops in fp64, and the same bits on any number of
// threads.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/backends/cpu_launch.h"

namespace wsi {
namespace {

using Vector = std::vector<double>;

size_t At(int64_t i) { return static_cast<size_t>(i); }

struct PoolCase {
  int64_t height, width, channels, kernel, stride, pad, dilation;
};

class CpuPooling : public testing::TestWithParam<PoolCase> {
 protected:
  int64_t Out(int64_t input) const {
    const PoolCase& c = GetParam();
    return (input + 2 * c.pad - (c.kernel - 1) * c.dilation - 1) / c.stride + 1;
  }
  Attributes MakeAttributes() const {
    const PoolCase& c = GetParam();
    return {{"kernel_shape", std::vector<int64_t>{c.kernel, c.kernel}},
            {"strides", std::vector<int64_t>{c.stride, c.stride}},
            {"dilations", std::vector<int64_t>{c.dilation, c.dilation}},
            {"pads", std::vector<int64_t>(4, c.pad)},
            {"channels_last", int64_t{1}}};
  }
  // visit(x index, y index, tap) for every element of every window.
  template <typename F>
  void ForEachElement(const F& visit) const {
    const PoolCase& c = GetParam();
    for (int64_t oh = 0; oh < Out(c.height); ++oh) {
      for (int64_t ow = 0; ow < Out(c.width); ++ow) {
        for (int64_t tap = 0; tap < c.kernel * c.kernel; ++tap) {
          const int64_t h = oh * c.stride - c.pad + tap / c.kernel * c.dilation;
          const int64_t w = ow * c.stride - c.pad + tap % c.kernel * c.dilation;
          if (h < 0 || h >= c.height || w < 0 || w >= c.width) continue;
          for (int64_t k = 0; k < c.channels; ++k) {
            visit(At((h * c.width + w) * c.channels + k),
                  At((oh * Out(c.width) + ow) * c.channels + k), tap);
          }
        }
      }
    }
  }
  Shape x_shape_ = {1, GetParam().height, GetParam().width, GetParam().channels};
  Shape y_shape_ = {1, Out(GetParam().height), Out(GetParam().width), GetParam().channels};
  std::vector<int64_t> x_sizes_ = {x_shape_.begin(), x_shape_.end()};
  DType index_type_ = GetParam().kernel > 16 ? DType::kI32 : DType::kU8;
};

TEST_P(CpuPooling, MaximumAndGradient) {
  TestLaunch forward{.op = "MaxPool", .attributes = MakeAttributes()};
  Tensor x_tensor = Numbers(x_shape_, 1);
  // Coarse values, so that there are ties.
  for (float& v : x_tensor.data<float>()) v = std::floor(v * 4.0F);
  const Vector x = x_tensor.ToDoubles();
  forward.inputs.push_back(std::move(x_tensor));
  forward.outputs = {{DType::kF32, y_shape_}, {index_type_, y_shape_}};
  Vector y(At(y_shape_.ElementCount()), -std::numeric_limits<double>::infinity());
  Vector index(y.size(), 0);
  ForEachElement([&](size_t xi, size_t yi, int64_t tap) {
    if (x[xi] > y[yi]) {
      y[yi] = x[xi];
      index[yi] = static_cast<double>(tap);
    }
  });
  auto results = RunLaunch(forward);
  ExpectNear(results[0], y, 0);
  ExpectNear(results[1], index, 0);

  TestLaunch backward{.op = "MaxPoolGrad", .attributes = MakeAttributes()};
  backward.attributes.Set("input_shape", x_sizes_);
  backward.inputs.push_back(Numbers(y_shape_, 2));
  backward.inputs.push_back(std::move(results[1]));
  backward.outputs = {{DType::kF32, x_shape_}};
  const Vector dy = backward.inputs[0].ToDoubles();
  Vector dx(x.size());
  ForEachElement([&](size_t xi, size_t yi, int64_t tap) {
    if (index[yi] == static_cast<double>(tap)) dx[xi] += dy[yi];
  });
  ExpectNear(RunLaunch(backward)[0], dx, 1e-6);
}

TEST_P(CpuPooling, AverageAndGradient) {
  const PoolCase& c = GetParam();
  for (const int64_t include_pad : {0, 1}) {
    Attributes attributes = MakeAttributes();
    attributes.Set("count_include_pad", include_pad);
    TestLaunch forward{.op = "AveragePool", .attributes = attributes};
    forward.inputs.push_back(Numbers(x_shape_, 1));
    forward.outputs = {{DType::kF32, y_shape_}};
    const Vector x = forward.inputs[0].ToDoubles();
    Vector count(At(y_shape_.ElementCount()));
    ForEachElement([&](size_t, size_t yi, int64_t) { count[yi] += 1; });
    if (include_pad != 0) {
      // No window of these cases reaches beyond the padding.
      for (double& n : count) n = static_cast<double>(c.kernel * c.kernel);
    }
    Vector y(count.size());
    ForEachElement([&](size_t xi, size_t yi, int64_t) { y[yi] += x[xi] / count[yi]; });
    ExpectNear(RunLaunch(forward)[0], y, 1e-5);

    TestLaunch backward{.op = "AveragePoolGrad", .attributes = attributes};
    backward.attributes.Set("input_shape", x_sizes_);
    backward.inputs.push_back(Numbers(y_shape_, 2));
    backward.outputs = {{DType::kF32, x_shape_}};
    const Vector dy = backward.inputs[0].ToDoubles();
    Vector dx(x.size());
    ForEachElement([&](size_t xi, size_t yi, int64_t) { dx[xi] += dy[yi] / count[yi]; });
    ExpectNear(RunLaunch(backward)[0], dx, 1e-5);
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, CpuPooling,
                         testing::Values(PoolCase{41, 33, 64, 3, 2, 1, 1},
                                         PoolCase{40, 40, 37, 2, 2, 0, 1},
                                         PoolCase{19, 23, 5, 3, 1, 1, 2},
                                         PoolCase{20, 40, 3, 17, 2, 8, 1}));

TEST(CpuMaxPool, NaNWinsAndTheFirstOneIsNamed) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> x = {1, nan, 5, nan};
  TestLaunch launch{.op = "MaxPool"};
  launch.attributes = {{"kernel_shape", std::vector<int64_t>{4}}};
  launch.inputs.push_back(Tensor::Of<float>({1, 4, 1}, x));
  launch.outputs = {{DType::kF32, {1, 1, 1}}, {DType::kU8, {1, 1, 1}}};
  const auto results = RunLaunch(launch);
  EXPECT_TRUE(std::isnan(results[0].data<float>()[0]));
  EXPECT_EQ(results[1].data<uint8_t>()[0], 1);
}

TEST(CpuGlobalPooling, AverageMaximumAndGradients) {
  const Shape shape = {2, 70, 33, 70};
  const Shape pooled = {2, 1, 1, 70};
  const size_t positions = 70 * 33;
  TestLaunch average{.op = "GlobalAveragePool"};
  average.inputs.push_back(Numbers(shape, 1));
  average.outputs = {{DType::kF32, pooled}};
  TestLaunch maximum{.op = "GlobalMaxPool"};
  maximum.inputs.push_back(Numbers(shape, 1));
  maximum.outputs = {{DType::kF32, pooled}, {DType::kI64, pooled}};
  const Vector x = average.inputs[0].ToDoubles();
  Vector mean(140);
  Vector best(140, -10.0);
  Vector where(140);
  for (size_t i = 0; i < x.size(); ++i) {
    const size_t p = i / 70 % positions;
    const size_t out = i / 70 / positions * 70 + i % 70;
    mean[out] += x[i] / static_cast<double>(positions);
    if (x[i] > best[out]) {
      best[out] = x[i];
      where[out] = static_cast<double>(p);
    }
  }
  ExpectNear(RunLaunch(average)[0], mean, 1e-6);
  auto results = RunLaunch(maximum);
  ExpectNear(results[0], best, 0);
  ExpectNear(results[1], where, 0);

  const std::vector<int64_t> sizes(shape.begin(), shape.end());
  TestLaunch average_grad{.op = "GlobalAveragePoolGrad", .attributes = {{"input_shape", sizes}}};
  average_grad.inputs.push_back(Numbers(pooled, 2));
  average_grad.outputs = {{DType::kF32, shape}};
  TestLaunch maximum_grad{.op = "GlobalMaxPoolGrad", .attributes = {{"input_shape", sizes}}};
  maximum_grad.inputs.push_back(Numbers(pooled, 2));
  maximum_grad.inputs.push_back(std::move(results[1]));
  maximum_grad.outputs = {{DType::kF32, shape}};
  const Vector dy = average_grad.inputs[0].ToDoubles();
  Vector dx(x.size());
  Vector dx_max(x.size());
  for (size_t i = 0; i < x.size(); ++i) {
    const size_t out = i / 70 / positions * 70 + i % 70;
    dx[i] = dy[out] / static_cast<double>(positions);
    dx_max[i] = where[out] == static_cast<double>(i / 70 % positions) ? dy[out] : 0.0;
  }
  ExpectNear(RunLaunch(average_grad)[0], dx, 1e-6);
  ExpectNear(RunLaunch(maximum_grad)[0], dx_max, 0);
}

}  // namespace
}  // namespace wsi
