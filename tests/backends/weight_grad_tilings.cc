// Every tiling of the tensor cores' weight gradients against sums in fp64: which of them a
// problem takes depends on its size, and the suite's are small.
#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <vector>

#include "runtime/backends/cuda/weight_grad.h"
#include "tests/backends/backend_suite.h"
#include "tests/backends/operand.h"

namespace wsi::cuda {
namespace {

struct FreeDevice {
  void operator()(void* at) const { cudaFree(at); }
};
using DeviceBytes = std::unique_ptr<void, FreeDevice>;

DeviceBytes OnDevice(std::span<const std::byte> bytes) {
  void* at = nullptr;
  EXPECT_EQ(cudaMalloc(&at, bytes.size() + 1), cudaSuccess);
  EXPECT_EQ(cudaMemcpyAsync(at, bytes.data(), bytes.size(), cudaMemcpyHostToDevice, nullptr),
            cudaSuccess);
  return DeviceBytes(at);
}

// The gradient, and the sums of its terms' magnitudes.
struct Expected {
  std::vector<double> sums, magnitudes;
};
Expected SumUp(const Window& w, int64_t groups, const Tensor& x, const Tensor& dy) {
  const int64_t in_channels = w.in_channels / groups;  // Of a group.
  const int64_t out_channels = w.out_channels / groups;
  const auto count = static_cast<size_t>(w.out_channels * w.KernelPositions() * in_channels);
  Expected e{std::vector<double>(count), std::vector<double>(count)};
  const std::span<const float> inputs = x.data<float>();
  const std::span<const float> grads = dy.data<float>();
  for (int64_t n = 0; n < w.batch; ++n) {
    ForEachIndex(w.out, [&](const Index3& o) {
      ForEachIndex(w.kernel, [&](const Index3& k) {
        Index3 i;
        if (!w.Tap(o, k, i)) return;
        const int64_t from = (n * w.InPositions() + Flat(i, w.in)) * w.in_channels;
        const int64_t to = (n * w.OutPositions() + Flat(o, w.out)) * w.out_channels;
        for (int64_t c = 0; c < w.out_channels; ++c) {
          const double d = grads[static_cast<size_t>(to + c)];
          for (int64_t a = 0; a < in_channels; ++a) {
            const auto at = static_cast<size_t>(
                (c * w.KernelPositions() + Flat(k, w.kernel)) * in_channels + a);
            const int64_t channel = c / out_channels * in_channels + a;
            const double term = d * inputs[static_cast<size_t>(from + channel)];
            e.sums[at] += term;
            e.magnitudes[at] += std::abs(term);
          }
        }
      });
    });
  }
  return e;
}

void ExpectAllTilings(const Window& w, DType dtype, int64_t groups = 1) {
  const auto drawn = [&](int64_t positions, int64_t channels, int64_t stream) {
    return RandomTensor({Shape{w.batch * positions, channels}}, 7, stream).Cast(dtype).value();
  };
  const Tensor x = drawn(w.InPositions(), w.in_channels, 1);
  const Tensor dy = drawn(w.OutPositions(), w.out_channels, 2);
  const Expected want = SumUp(w, groups, x.Cast(DType::kF32).value(), dy.Cast(DType::kF32).value());
  const DeviceBytes x_at = OnDevice(x.bytes());
  const DeviceBytes dy_at = OnDevice(dy.bytes());
  std::vector<float> got(want.sums.size());
  for (size_t tiling = 0; tiling < WeightGrad::TilingCount(w, groups); ++tiling) {
    const auto grad = WeightGrad::Make(w, groups, dtype, tiling);
    ASSERT_TRUE(grad.ok()) << grad.status().message();
    const std::vector<std::byte> unset(got.size() * sizeof(float), std::byte{0xff});
    const DeviceBytes dw = OnDevice(unset);
    const DeviceBytes scratch =
        OnDevice(std::vector<std::byte>(static_cast<size_t>(grad->workspace_bytes())));
    const Status ran = grad->Run(x_at.get(), dy_at.get(), static_cast<float*>(dw.get()),
                                 static_cast<float*>(scratch.get()), nullptr);
    ASSERT_TRUE(ran.ok()) << ran.message();
    ASSERT_EQ(cudaMemcpyAsync(got.data(), dw.get(), unset.size(), cudaMemcpyDeviceToHost, nullptr),
              cudaSuccess);
    ASSERT_EQ(cudaStreamSynchronize(nullptr), cudaSuccess);
    for (size_t i = 0; i < got.size(); ++i) {
      ASSERT_LE(std::abs(got[i] - want.sums[i]), 2e-6 * want.magnitudes[i])
          << "tiling " << tiling << ", element " << i << ": " << got[i] << " and " << want.sums[i];
    }
  }
}

class WeightGradTilings : public testing::Test {
 protected:
  void SetUp() override {
    if (!MakeBackendUnderTest()) GTEST_SKIP() << "the backend's device is not there";
  }
};

// More than one tile and one chunk each way, and channels that fill no tile.
TEST_F(WeightGradTilings, Points) {
  const Window w = {
      .batch = 2, .in_channels = 136, .out_channels = 264, .in = {1, 15, 19}, .out = {1, 15, 19}};
  EXPECT_EQ(WeightGrad::TilingCount(w, 1), 6U);
  ExpectAllTilings(w, DType::kF16);
}
TEST_F(WeightGradTilings, Planes) {
  const Window w = {.batch = 2,
                    .in_channels = 24,
                    .out_channels = 264,
                    .in = {1, 37, 31},
                    .out = {1, 19, 16},
                    .kernel = {1, 3, 3},
                    .stride = {1, 2, 2},
                    .pad_begin = {0, 1, 1},
                    .pad_end = {0, 1, 1}};
  EXPECT_EQ(WeightGrad::TilingCount(w, 1), 6U);
  ExpectAllTilings(w, DType::kBF16);
}
TEST_F(WeightGradTilings, FewChannels) {
  const Window w = {.batch = 1,
                    .in_channels = 3,
                    .out_channels = 72,
                    .in = {1, 40, 33},
                    .out = {1, 40, 33},
                    .kernel = {1, 7, 7},
                    .pad_begin = {0, 3, 3},
                    .pad_end = {0, 3, 3}};
  ExpectAllTilings(w, DType::kF16);
}

Window SameWindow(int64_t in_channels, int64_t out_channels, Index3 size = {1, 9, 11}) {
  return {.batch = 1,
          .in_channels = in_channels,
          .out_channels = out_channels,
          .in = size,
          .out = size,
          .kernel = {1, 3, 3},
          .pad_begin = {0, 1, 1},
          .pad_end = {0, 1, 1}};
}
// Sixteen groups a bundle, two bundles and two chunks.
TEST_F(WeightGradTilings, SmallGroups) {
  const Window w = SameWindow(128, 128, {1, 23, 29});
  EXPECT_EQ(WeightGrad::TilingCount(w, 32), 2U);
  ExpectAllTilings(w, DType::kF16, 32);
}
// Groups with more output than input channels, and three in the last bundle.
TEST_F(WeightGradTilings, UnevenBundles) {
  ExpectAllTilings(SameWindow(88, 176), DType::kBF16, 11);
}
// Bundles of 36 channels would not begin at packs.
TEST_F(WeightGradTilings, GroupsThatFillNoPack) {
  ExpectAllTilings(SameWindow(36 * 4, 36 * 4), DType::kF16, 4);
}
TEST_F(WeightGradTilings, LargeGroups) {
  const Window w = SameWindow(144, 272);
  EXPECT_EQ(WeightGrad::TilingCount(w, 2), 6U);
  ExpectAllTilings(w, DType::kF16, 2);
}
TEST_F(WeightGradTilings, GroupsOfOddChannels) {
  const Window w = SameWindow(51, 34);
  EXPECT_EQ(WeightGrad::TilingCount(w, 17), 1U);
  ExpectAllTilings(w, DType::kF16, 17);
}
TEST_F(WeightGradTilings, GroupsOfPoints) {
  const Window w = {
      .batch = 2, .in_channels = 120, .out_channels = 40, .in = {1, 15, 19}, .out = {1, 15, 19}};
  EXPECT_EQ(WeightGrad::TilingCount(w, 5), 2U);
  ExpectAllTilings(w, DType::kF16, 5);
}

}  // namespace
}  // namespace wsi::cuda
