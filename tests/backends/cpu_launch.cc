#include "tests/backends/cpu_launch.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

namespace wsi {

Tensor Numbers(Shape shape, uint64_t seed) {
  std::vector<float> values(static_cast<size_t>(shape.ElementCount()));
  uint64_t state = seed * 0x9E3779B97F4A7C15U + 1;
  for (float& v : values) {
    state = state * 6364136223846793005U + 1442695040888963407U;
    v = static_cast<float>(static_cast<int64_t>(state >> 40) - (1 << 23)) * 0x1p-23F;
  }
  return Tensor::Of<float>(std::move(shape), values);
}

Tensor Ints(Shape shape, std::vector<int64_t> values) {
  return Tensor::Of<int64_t>(std::move(shape), values);
}

Result<std::vector<Tensor>> TryLaunch(const TestLaunch& launch, int threads) {
  const auto backend = MakeCpuBackend({.threads = threads});
  std::vector<OperandSpec> inputs;
  std::vector<const std::byte*> input_pointers;
  for (const Tensor& tensor : launch.inputs) {
    const bool present = tensor.shape() != Shape{0};
    inputs.push_back({.present = present, .dtype = tensor.dtype(), .shape = tensor.shape()});
    input_pointers.push_back(present ? tensor.bytes().data() : nullptr);
  }
  std::vector<OperandSpec> outputs;
  std::vector<Tensor> results;
  std::vector<std::byte*> output_pointers;
  for (const auto& [dtype, shape] : launch.outputs) {
    outputs.push_back({.present = true, .dtype = dtype, .shape = shape});
    results.push_back(Tensor::Make(dtype, shape).value());
    std::memset(results.back().bytes().data(), 0xff, results.back().bytes().size());
    output_pointers.push_back(results.back().bytes().data());
  }
  const LaunchSpec spec = {.op = launch.op,
                           .node = "test",
                           .attributes = launch.attributes,
                           .inputs = inputs,
                           .outputs = outputs};
  WSI_ASSIGN_OR_RETURN(const std::unique_ptr<Kernel> kernel, backend->Compile(spec));
  WSI_ASSIGN_OR_RETURN(const std::unique_ptr<Lane> lane, backend->MakeLane("compute"));
  WSI_RETURN_IF_ERROR(
      lane->Launch(*kernel, {.inputs = input_pointers, .outputs = output_pointers}));
  WSI_RETURN_IF_ERROR(lane->Synchronize());
  return results;
}

std::vector<Tensor> RunLaunch(const TestLaunch& launch) {
  auto results = TryLaunch(launch, 1);
  EXPECT_TRUE(results.ok()) << results.status().message();
  if (!results.ok()) {
    std::vector<Tensor> empty;
    for (const auto& [dtype, shape] : launch.outputs) {
      empty.push_back(Tensor::Make(dtype, shape).value());
    }
    return empty;
  }
  for (const int threads : {2, 3, 5}) {
    const auto other = TryLaunch(launch, threads);
    EXPECT_TRUE(other.ok()) << other.status().message();
    for (size_t i = 0; other.ok() && i < results->size(); ++i) {
      EXPECT_TRUE(other.value()[i] == (*results)[i])
          << launch.op << " output " << i << " differs on " << threads << " threads";
    }
  }
  return std::move(results).value();
}

void ExpectNear(const Tensor& actual, const std::vector<double>& expected, double tolerance) {
  const std::vector<double> values = actual.ToDoubles();
  ASSERT_EQ(values.size(), expected.size());
  for (size_t i = 0; i < values.size(); ++i) {
    // Written so that NaN fails.
    if (!(std::abs(values[i] - expected[i]) <= tolerance * (1.0 + std::abs(expected[i])))) {
      FAIL() << "element " << i << " of " << actual.shape().ToString() << " is " << values[i]
             << ", expected " << expected[i];
    }
  }
}

}  // namespace wsi
