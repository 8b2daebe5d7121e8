// Convolutions cut into slabs against plain loops, and the same bits on any number of
// threads.
#include <gtest/gtest.h>

#include "runtime/backends/cpu/convolution_slabs.h"
#include "tests/backends/cpu_launch.h"

namespace wsi {
namespace {

struct Case {
  const char* name;
  int64_t batch, height, width, in, out, kernel, stride, pad, dilation, groups;
};

std::ostream& operator<<(std::ostream& out, const Case& c) { return out << c.name; }

class CpuConvolution : public testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    const Case& c = GetParam();
    const int64_t extent = (c.kernel - 1) * c.dilation + 1;
    out_height_ = (c.height + 2 * c.pad - extent) / c.stride + 1;
    out_width_ = (c.width + 2 * c.pad - extent) / c.stride + 1;
    x_shape_ = {c.batch, c.height, c.width, c.in};
    y_shape_ = {c.batch, out_height_, out_width_, c.out};
    w_shape_ = {c.out, c.kernel, c.kernel, c.in / c.groups};
    attributes_ = {{"kernel_shape", std::vector<int64_t>{c.kernel, c.kernel}},
                   {"strides", std::vector<int64_t>{c.stride, c.stride}},
                   {"dilations", std::vector<int64_t>{c.dilation, c.dilation}},
                   {"pads", std::vector<int64_t>{c.pad, c.pad, c.pad, c.pad}},
                   {"group", c.groups},
                   {"channels_last", int64_t{1}}};
  }

  // visit(x index, w index, y index) for every product of the convolution.
  template <typename F>
  void ForEachProduct(const F& visit) const {
    const Case& c = GetParam();
    const int64_t in = c.in / c.groups;
    const int64_t out = c.out / c.groups;
    for (int64_t n = 0; n < c.batch; ++n) {
      for (int64_t oh = 0; oh < out_height_; ++oh) {
        for (int64_t ow = 0; ow < out_width_; ++ow) {
          for (int64_t kh = 0; kh < c.kernel; ++kh) {
            for (int64_t kw = 0; kw < c.kernel; ++kw) {
              const int64_t h = oh * c.stride - c.pad + kh * c.dilation;
              const int64_t w = ow * c.stride - c.pad + kw * c.dilation;
              if (h < 0 || h >= c.height || w < 0 || w >= c.width) continue;
              for (int64_t o = 0; o < c.out; ++o) {
                for (int64_t i = 0; i < in; ++i) {
                  visit(((n * c.height + h) * c.width + w) * c.in + o / out * in + i,
                        ((o * c.kernel + kh) * c.kernel + kw) * in + i,
                        ((n * out_height_ + oh) * out_width_ + ow) * c.out + o);
                }
              }
            }
          }
        }
      }
    }
  }

  int64_t out_height_ = 0;
  int64_t out_width_ = 0;
  Shape x_shape_;
  Shape y_shape_;
  Shape w_shape_;
  Attributes attributes_;
};

size_t At(int64_t i) { return static_cast<size_t>(i); }

TEST_P(CpuConvolution, Forward) {
  TestLaunch launch{.op = "Conv", .attributes = attributes_};
  launch.inputs.push_back(Numbers(x_shape_, 1));
  launch.inputs.push_back(Numbers(w_shape_, 2));
  launch.inputs.push_back(Numbers({GetParam().out}, 3));
  launch.outputs = {{DType::kF32, y_shape_}};
  const auto x = launch.inputs[0].ToDoubles();
  const auto w = launch.inputs[1].ToDoubles();
  const auto b = launch.inputs[2].ToDoubles();
  std::vector<double> expected(At(y_shape_.ElementCount()));
  for (size_t i = 0; i < expected.size(); ++i) expected[i] = b[i % b.size()];
  ForEachProduct(
      [&](int64_t xi, int64_t wi, int64_t yi) { expected[At(yi)] += x[At(xi)] * w[At(wi)]; });
  ExpectNear(RunLaunch(launch)[0], expected, 2e-5);
}

TEST_P(CpuConvolution, ForwardWithoutBias) {
  TestLaunch launch{.op = "Conv", .attributes = attributes_};
  launch.inputs.push_back(Numbers(x_shape_, 1));
  launch.inputs.push_back(Numbers(w_shape_, 2));
  launch.outputs = {{DType::kF32, y_shape_}};
  const auto x = launch.inputs[0].ToDoubles();
  const auto w = launch.inputs[1].ToDoubles();
  std::vector<double> expected(At(y_shape_.ElementCount()));
  ForEachProduct(
      [&](int64_t xi, int64_t wi, int64_t yi) { expected[At(yi)] += x[At(xi)] * w[At(wi)]; });
  ExpectNear(RunLaunch(launch)[0], expected, 2e-5);
}

TEST_P(CpuConvolution, InputGradient) {
  TestLaunch launch{.op = "ConvInputGrad", .attributes = attributes_};
  launch.attributes.Set("input_shape", std::vector<int64_t>(x_shape_.begin(), x_shape_.end()));
  launch.inputs.push_back(Numbers(y_shape_, 4));
  launch.inputs.push_back(Numbers(w_shape_, 5));
  launch.outputs = {{DType::kF32, x_shape_}};
  const auto dy = launch.inputs[0].ToDoubles();
  const auto w = launch.inputs[1].ToDoubles();
  std::vector<double> expected(At(x_shape_.ElementCount()));
  ForEachProduct(
      [&](int64_t xi, int64_t wi, int64_t yi) { expected[At(xi)] += dy[At(yi)] * w[At(wi)]; });
  ExpectNear(RunLaunch(launch)[0], expected, 2e-5);
}

TEST_P(CpuConvolution, WeightGradient) {
  TestLaunch launch{.op = "ConvWeightGrad", .attributes = attributes_};
  launch.attributes.Set("weight_shape", std::vector<int64_t>(w_shape_.begin(), w_shape_.end()));
  launch.inputs.push_back(Numbers(x_shape_, 6));
  launch.inputs.push_back(Numbers(y_shape_, 7));
  launch.outputs = {{DType::kF32, w_shape_}};
  const auto x = launch.inputs[0].ToDoubles();
  const auto dy = launch.inputs[1].ToDoubles();
  std::vector<double> expected(At(w_shape_.ElementCount()));
  ForEachProduct(
      [&](int64_t xi, int64_t wi, int64_t yi) { expected[At(wi)] += x[At(xi)] * dy[At(yi)]; });
  ExpectNear(RunLaunch(launch)[0], expected, 1e-4);
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, CpuConvolution,
    testing::Values(Case{"Stem7x7", 1, 45, 38, 3, 64, 7, 2, 3, 1, 1},
                    Case{"Plain3x3", 1, 33, 21, 16, 32, 3, 1, 1, 1, 1},
                    Case{"Strided3x3", 1, 34, 35, 32, 32, 3, 2, 1, 1, 1},
                    Case{"Strided3x3Odd", 1, 37, 20, 32, 16, 3, 2, 1, 1, 1},
                    Case{"Strided1x1", 1, 36, 31, 32, 64, 1, 2, 0, 1, 1},
                    Case{"Strided1x1Odd", 1, 35, 30, 16, 32, 1, 2, 0, 1, 1},
                    Case{"PointwiseWidening", 1, 64, 49, 12, 40, 1, 1, 0, 1, 1},
                    Case{"PointwiseNarrowing", 2, 32, 49, 40, 12, 1, 1, 0, 1, 1},
                    Case{"PointwiseColumns", 1, 5, 5, 16, 1030, 1, 1, 0, 1, 1},
                    Case{"LargeWeights", 1, 6, 5, 200, 168, 3, 1, 1, 1, 1},
                    Case{"LargeWeights1x1", 1, 6, 5, 392, 424, 1, 2, 0, 1, 1},
                    Case{"Plain1x1", 1, 40, 16, 64, 48, 1, 1, 0, 1, 1},
                    Case{"Tails", 1, 19, 17, 5, 7, 3, 1, 1, 1, 1},
                    Case{"Valid5x5", 1, 23, 24, 8, 8, 5, 1, 0, 1, 1},
                    Case{"Dilated", 1, 30, 22, 16, 16, 3, 1, 2, 2, 1},
                    Case{"DilatedStrided", 1, 31, 22, 16, 16, 3, 2, 2, 2, 1},
                    Case{"PaddedMoreThanKernel", 1, 12, 9, 8, 8, 3, 1, 4, 1, 1},
                    Case{"StrideBeyondKernel", 1, 29, 28, 16, 16, 2, 3, 1, 1, 1},
                    Case{"OneRow", 1, 1, 40, 16, 16, 3, 1, 1, 1, 1},
                    Case{"SevenRows", 1, 7, 7, 64, 32, 3, 1, 1, 1, 1},
                    Case{"Batch", 3, 9, 10, 16, 16, 3, 1, 1, 1, 1},
                    Case{"LargeBatch", 37, 4, 5, 16, 16, 3, 1, 1, 1, 1},
                    Case{"Grouped", 1, 20, 18, 32, 32, 3, 1, 1, 1, 2},
                    Case{"GroupedTails", 1, 12, 11, 12, 18, 3, 2, 1, 1, 3},
                    Case{"Depthwise", 1, 25, 22, 40, 40, 3, 1, 1, 1, 40},
                    Case{"DepthwiseWide", 1, 18, 12, 144, 144, 3, 2, 1, 1, 144},
                    Case{"DepthwiseBatch", 2, 9, 11, 3, 3, 5, 2, 2, 1, 3},
                    Case{"DepthwiseMultiplier", 1, 12, 11, 4, 8, 3, 1, 1, 1, 4}),
    [](const auto& test) { return std::string(test.param.name); });

// One and three spatial axes go through the same slabs.
TEST(CpuConvolutionRank, OneAndThreeAxes) {
  for (const int spatial : {1, 3}) {
    std::vector<int64_t> x_sizes = {2, 13};
    std::vector<int64_t> w_sizes = {6, 3};
    const std::vector<int64_t> threes(static_cast<size_t>(spatial), 3);
    for (int i = 1; i < spatial; ++i) x_sizes.push_back(5);
    for (int i = 1; i < spatial; ++i) w_sizes.push_back(3);
    x_sizes.push_back(4);
    w_sizes.push_back(4);
    std::vector<int64_t> y_sizes = x_sizes;
    y_sizes.back() = 6;
    TestLaunch launch{.op = "Conv"};
    launch.attributes = {{"kernel_shape", threes},
                         {"strides", std::vector<int64_t>(threes.size(), 1)},
                         {"dilations", std::vector<int64_t>(threes.size(), 1)},
                         {"pads", std::vector<int64_t>(2 * threes.size(), 1)},
                         {"group", int64_t{1}},
                         {"channels_last", int64_t{1}}};
    const Shape x_shape = Shape::Make(x_sizes).value();
    const Shape y_shape = Shape::Make(y_sizes).value();
    const Shape w_shape = Shape::Make(w_sizes).value();
    launch.inputs.push_back(Numbers(x_shape, 1));
    launch.inputs.push_back(Numbers(w_shape, 2));
    launch.outputs = {{DType::kF32, y_shape}};
    const auto x = launch.inputs[0].ToDoubles();
    const auto w = launch.inputs[1].ToDoubles();
    const int64_t side = spatial == 1 ? 1 : 5;
    const int64_t taps = spatial == 1 ? 1 : 3;
    std::vector<double> expected(At(y_shape.ElementCount()));
    for (size_t yi = 0; yi < expected.size(); ++yi) {
      int64_t rest = static_cast<int64_t>(yi);
      const int64_t o = rest % 6;
      rest /= 6;
      const int64_t c = rest % side;
      const int64_t b = rest / side % side;
      const int64_t a = rest / side / side % 13;
      const int64_t n = rest / side / side / 13;
      for (int64_t k = 0; k < 3 * taps * taps; ++k) {
        const int64_t i0 = a - 1 + k / taps / taps;
        const int64_t i1 = spatial == 1 ? 0 : b - 1 + k / taps % taps;
        const int64_t i2 = spatial == 1 ? 0 : c - 1 + k % taps;
        if (i0 < 0 || i0 >= 13 || i1 < 0 || i1 >= side || i2 < 0 || i2 >= side) continue;
        for (int64_t i = 0; i < 4; ++i) {
          expected[yi] += x[At((((n * 13 + i0) * side + i1) * side + i2) * 4 + i)] *
                          w[At((o * 3 * taps * taps + k) * 4 + i)];
        }
      }
    }
    ExpectNear(RunLaunch(launch)[0], expected, 2e-5);
  }
}

// More slabs than lanes: the lanes add several slabs each. x depends on the row only,
// so a filter's gradient is a sum over rows.
TEST(CpuConvolutionSlabs, WeightGradientOfManySlabs) {
  const int64_t size = 1400;
  const int64_t out = size / 2;
  const int64_t channels = 16;
  TestLaunch launch{.op = "ConvWeightGrad"};
  launch.attributes = {{"kernel_shape", std::vector<int64_t>{3, 3}},
                       {"strides", std::vector<int64_t>{2, 2}},
                       {"pads", std::vector<int64_t>{1, 1, 1, 1}},
                       {"weight_shape", std::vector<int64_t>{channels, 3, 3, channels}},
                       {"channels_last", int64_t{1}}};
  const auto value = [](int64_t row) { return static_cast<double>(row % 7 - 2); };
  launch.inputs.push_back(Tensor::Make(DType::kF32, {1, size, size, channels}).value());
  const auto x = launch.inputs[0].data<float>();
  for (size_t i = 0; i < x.size(); ++i) {
    x[i] = static_cast<float>(value(static_cast<int64_t>(i) / (size * channels)));
  }
  launch.inputs.push_back(Tensor::Make(DType::kF32, {1, out, out, channels}).value());
  for (float& dy : launch.inputs[1].data<float>()) dy = 0.5F;
  launch.outputs = {{DType::kF32, {channels, 3, 3, channels}}};
  std::vector<double> expected;
  for (int64_t i = 0; i < channels * 9 * channels; ++i) {
    const int64_t kh = i / channels / 3 % 3;
    const int64_t kw = i / channels % 3;
    double sum = 0;
    for (int64_t o = 0; o < out; ++o) {
      const int64_t row = 2 * o - 1 + kh;
      if (row >= 0 && row < size) sum += value(row);
    }
    // Only the first column of windows reaches into the padding.
    expected.push_back(0.5 * sum * static_cast<double>(kw == 0 ? out - 1 : out));
  }
  ExpectNear(RunLaunch(launch)[0], expected, 1e-5);
}

TEST(CpuConvolutionErrors, NamesOperatorNodeAndReason) {
  TestLaunch launch{.op = "Conv"};
  launch.attributes = {{"kernel_shape", std::vector<int64_t>{3, 3}},
                       {"pads", std::vector<int64_t>{1, 1, 1, 1}},
                       {"channels_last", int64_t{1}}};
  launch.inputs.push_back(Numbers({1, 8, 8, 4}, 1));
  launch.inputs.push_back(Numbers({4, 3, 3, 4}, 2));
  launch.outputs = {{DType::kF32, {1, 9, 8, 4}}};
  const auto result = TryLaunch(launch, 1);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.status().message(),
            "Conv 'test' on cpu: output [1,9,8,4] does not follow from input [1,8,8,4]");
}

// Slabs of more rows than a sum in fp32 can bear are cut further.
TEST(CpuConvolutionSlabs, BoundsPositions) {
  cpu::Convolution c;
  c.window.channels = 64;
  c.window.axes[1] = {.input = 20000, .output = 20000, .kernel = 3, .pad_begin = 1, .pad_end = 1};
  c.window.axes[2] = c.window.axes[1];
  c.output_channels = 64;
  for (const auto kind : {cpu::ConvolutionKind::kForward, cpu::ConvolutionKind::kInputGrad,
                          cpu::ConvolutionKind::kWeightGrad}) {
    int64_t rows = 0;
    for (const cpu::Slab& slab : cpu::CutConvolution(c, kind)) {
      const int64_t own =
          kind == cpu::ConvolutionKind::kInputGrad ? slab.input_rows : slab.output_rows;
      ASSERT_LE(own * 20000, 1 << 19);
      rows += own;
    }
    EXPECT_EQ(rows, 20000);
  }
}

}  // namespace
}  // namespace wsi
