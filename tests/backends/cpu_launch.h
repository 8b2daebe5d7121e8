// Runs single launches on the CPU backend, for tests.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "runtime/backends/cpu/cpu_backend.h"
#include "runtime/base/tensor.h"

namespace wsi {

struct TestLaunch {
  std::string op;
  Attributes attributes = {};
  std::vector<Tensor> inputs = {};  // A tensor of shape [0]: an absent operand.
  std::vector<std::pair<DType, Shape>> outputs = {};
};

// Deterministic numbers in about [-1, 1).
Tensor Numbers(Shape shape, uint64_t seed);
Tensor Ints(Shape shape, std::vector<int64_t> values);

// The outputs of `launch` on a backend of `threads` threads; outputs start as NaN.
Result<std::vector<Tensor>> TryLaunch(const TestLaunch& launch, int threads);

// As TryLaunch on one thread, and expects the same bits on two, three and five.
std::vector<Tensor> RunLaunch(const TestLaunch& launch);

// Expects |actual - expected| <= tolerance * (1 + |expected|) everywhere.
void ExpectNear(const Tensor& actual, const std::vector<double>& expected, double tolerance);

}  // namespace wsi
