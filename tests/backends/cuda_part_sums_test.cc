// Sums of matrices in parts, as long products make them.
#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "runtime/backends/cuda/sums.h"
#include "runtime/base/tensor.h"
#include "tests/backends/backend_suite.h"

namespace wsi::cuda {
namespace {

struct FreeDevice {
  void operator()(float* at) const { cudaFree(at); }
};

// On the device.
std::unique_ptr<float, FreeDevice> Copied(const std::vector<float>& values) {
  void* at = nullptr;
  const size_t bytes = values.size() * sizeof(float);
  EXPECT_EQ(cudaMalloc(&at, bytes), cudaSuccess);
  EXPECT_EQ(cudaMemcpyAsync(at, values.data(), bytes, cudaMemcpyHostToDevice, nullptr),
            cudaSuccess);
  return std::unique_ptr<float, FreeDevice>(static_cast<float*>(at));
}
std::vector<float> Back(const float* at, size_t count) {
  std::vector<float> values(count);
  EXPECT_EQ(
      cudaMemcpyAsync(values.data(), at, count * sizeof(float), cudaMemcpyDeviceToHost, nullptr),
      cudaSuccess);
  EXPECT_EQ(cudaStreamSynchronize(nullptr), cudaSuccess);
  return values;
}

class PartSumsTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!MakeBackendUnderTest()) GTEST_SKIP() << "the backend's device is not there";
  }
};

// What is kept of two parts is added to a third one, scaled and added to y.
TEST_F(PartSumsTest, KeepAndStore) {
  const auto parts = Copied({1, 2, 3, 4, 10, 20, 30, 40});
  const auto total = Copied({0, 0, 0, 0});
  PartSums sums = {.parts = parts.get(), .part_count = 2, .rows = 2, .columns = 2};
  ASSERT_TRUE(KeepSums(sums, total.get(), nullptr).ok());
  EXPECT_EQ(Back(total.get(), 4), (std::vector<float>{11, 22, 33, 44}));
  const auto y = Copied({1, 1, 7, 1, 1, 7});  // Rows of three.
  sums.part_count = 1;
  sums.before = total.get();
  sums.leading = 3;
  sums.alpha = 0.5;
  sums.beta = 2;
  ASSERT_TRUE(StoreSums(sums, DType::kF32, reinterpret_cast<std::byte*>(y.get()), nullptr).ok());
  EXPECT_EQ(Back(y.get(), 6), (std::vector<float>{8, 14, 7, 20, 26, 7}));
}

// Without beta, y is not read.
TEST_F(PartSumsTest, StoreInHalf) {
  const auto parts = Copied({1.5F, -2});
  const float unset = std::numeric_limits<float>::quiet_NaN();
  const auto y = Copied({unset});
  const PartSums sums = {
      .parts = parts.get(), .part_count = 1, .rows = 1, .columns = 2, .leading = 2};
  ASSERT_TRUE(StoreSums(sums, DType::kF16, reinterpret_cast<std::byte*>(y.get()), nullptr).ok());
  const std::vector<float> stored = Back(y.get(), 1);
  const auto* halves = reinterpret_cast<const uint16_t*>(stored.data());
  EXPECT_EQ(halves[0], FloatToHalf(1.5F));
  EXPECT_EQ(halves[1], FloatToHalf(-2));
}

}  // namespace
}  // namespace wsi::cuda
