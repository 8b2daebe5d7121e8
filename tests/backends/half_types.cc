#include "tests/backends/half_types.h"

#include <algorithm>
#include <initializer_list>

namespace wsi {
namespace {

struct Single {
  std::string_view op;
  std::initializer_list<size_t> inputs;
  std::initializer_list<size_t> outputs;
};

bool IsSingle(std::string_view op, size_t i, bool input) {
  static const Single kTable[] = {
      {"BatchNormApply", {1, 2, 3, 4}, {}},
      {"BatchNormGradApply", {2, 3, 4, 5, 6}, {}},
      {"BatchNormGradFrozen", {1, 2}, {}},
      {"BatchNormGradStats", {2, 3}, {0, 1}},
      {"BatchNormStats", {}, {0, 1}},
      {"ConvWeightGrad", {}, {0}},
      {"GroupNormGrad", {2, 3, 4}, {1, 2}},
      {"GroupNormalization", {1, 2}, {1, 2}},
      {"SquaredNorm", {}, {0}},
  };
  for (const Single& entry : kTable) {
    if (entry.op != op) continue;
    const auto& list = input ? entry.inputs : entry.outputs;
    return std::find(list.begin(), list.end(), i) != list.end();
  }
  return false;
}

}  // namespace

bool RunsInHalf(std::string_view op) {
  return !op.ends_with("Update") && op != "ClipScale" && op != "MovingAverage" &&
         !op.starts_with("MeanSquaredError") && op.find("CrossEntropy") == op.npos &&
         !op.starts_with("NegativeLogLikelihood");
}

DType InputTypeOf(std::string_view op, size_t i, DType activations) {
  const bool half = activations == DType::kF16 || activations == DType::kBF16;
  return half && IsSingle(op, i, true) ? DType::kF32 : activations;
}
DType OutputTypeOf(std::string_view op, size_t i, DType activations) {
  const bool half = activations == DType::kF16 || activations == DType::kBF16;
  return half && IsSingle(op, i, false) ? DType::kF32 : activations;
}

}  // namespace wsi
