#include "tests/backends/operand.h"

#include <algorithm>
#include <cstdlib>
#include <numeric>
#include <string>

namespace wsi {
namespace {

// Fisher and Yates's shuffle of 0, 1, ...
std::vector<int64_t> Shuffled(int64_t count, const PhiloxStream& random) {
  std::vector<int64_t> order(static_cast<size_t>(count));
  std::iota(order.begin(), order.end(), int64_t{0});
  for (int64_t i = count - 1; i > 0; --i) {
    std::swap(order[static_cast<size_t>(i)], order[random.Word(i) % static_cast<uint64_t>(i + 1)]);
  }
  return order;
}

double Draw(const Operand& operand, const PhiloxStream& random, int64_t i) {
  const double u = static_cast<double>(random.Uniform(i));
  switch (operand.fill) {
    case Fill::kSpread: return 4 * u - 2;
    case Fill::kOffZero: return u < 0.5 ? 3.5 * u + 0.25 : -(3.5 * (u - 0.5) + 0.25);
    case Fill::kPositive: return 1.5 * u + 0.5;
    case Fill::kNegative: return -2.75 * u - 0.25;
    case Fill::kUnit: return 0.9 * u + 0.05;
    case Fill::kTies: return static_cast<double>(random.Word(i) % 3) - 1;
    case Fill::kIndex:
      return static_cast<double>(random.Word(i) % static_cast<uint64_t>(operand.number));
    case Fill::kWhole: {
      const auto word = static_cast<int>(random.Word(i) % 6);
      return word < 3 ? word - 3 : word - 2;
    }
    case Fill::kSignedIndex:
      return static_cast<double>(random.Word(i) % static_cast<uint64_t>(2 * operand.number)) -
             operand.number;
    case Fill::kTruth: return random.Word(i) % 2;
    case Fill::kNumber: return operand.number;
    case Fill::kDistinct:
    case Fill::kWindowIndex: break;
  }
  CheckFailed(__FILE__, __LINE__, "a fill that draws elements one by one");
}

}  // namespace

Tensor RandomTensor(const Operand& operand, int64_t seed, int64_t node) {
  const PhiloxStream random(seed, 0, node);
  const int64_t count = operand.shape.ElementCount();
  std::vector<double> values(static_cast<size_t>(count));
  if (operand.fill == Fill::kDistinct) {
    const std::vector<int64_t> order = Shuffled(count, random);
    for (size_t i = 0; i < values.size(); ++i) {
      values[i] = (static_cast<double>(order[i] - count / 2) + 0.5) / 16;
    }
  } else {
    for (int64_t i = 0; i < count; ++i) {
      values[static_cast<size_t>(i)] = static_cast<float>(Draw(operand, random, i));
    }
  }
  Tensor tensor = Tensor::Of<double>(operand.shape, values);
  return IsFloat(operand.dtype) ? std::move(tensor) : tensor.Cast(operand.dtype).value();
}

int64_t TestSeed(int64_t otherwise) {
  const char* seed = std::getenv("WSI_TEST_SEED");
  return seed != nullptr ? std::stoll(seed) : otherwise;
}

}  // namespace wsi
