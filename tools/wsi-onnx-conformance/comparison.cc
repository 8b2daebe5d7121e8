#include "tools/wsi-onnx-conformance/comparison.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace wsi {
namespace {

Comparison Disagree(std::string message) {
  Comparison comparison;
  comparison.agrees = false;
  comparison.message = std::move(message);
  return comparison;
}

bool Close(double actual, double expected, const Tolerance& tolerance) {
  if (std::isnan(expected) || std::isnan(actual)) {
    return std::isnan(expected) && std::isnan(actual);
  }
  if (std::isinf(expected) || std::isinf(actual)) return expected == actual;
  return std::abs(actual - expected) <=
         tolerance.absolute + tolerance.relative * std::abs(expected);
}

Comparison CompareFloats(const Tensor& actual, const Tensor& expected, Tolerance tolerance) {
  if (expected.dtype() == DType::kBF16) {
    tolerance.relative = std::max(tolerance.relative, 0x1p-6);
  }
  const std::vector<double> a = actual.ToDoubles();
  const std::vector<double> e = expected.ToDoubles();
  Comparison comparison;
  size_t wrong = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    if (std::isfinite(a[i]) && std::isfinite(e[i])) {
      comparison.largest_difference =
          std::max(comparison.largest_difference, std::abs(a[i] - e[i]));
    }
    if (Close(a[i], e[i], tolerance)) continue;
    if (wrong++ == 0) {
      comparison.message = fmt::format("element {} is {}, expected {}", i, a[i], e[i]);
    }
  }
  comparison.agrees = wrong == 0;
  if (wrong > 1) comparison.message += fmt::format(", and {} more of {}", wrong - 1, a.size());
  return comparison;
}

Comparison CompareInts(const Tensor& actual, const Tensor& expected) {
  const std::vector<int64_t> a = actual.ToInts();
  const std::vector<int64_t> e = expected.ToInts();
  Comparison comparison;
  for (size_t i = 0; i < a.size(); ++i) {
    if (a[i] == e[i]) continue;
    const double difference = std::abs(static_cast<double>(a[i]) - static_cast<double>(e[i]));
    comparison.largest_difference = std::max(comparison.largest_difference, difference);
    if (comparison.agrees) {
      comparison.message = fmt::format("element {} is {}, expected {}", i, a[i], e[i]);
    }
    comparison.agrees = false;
  }
  if (comparison.agrees && actual != expected) {  // Beyond 2^63, where those saturate.
    comparison.agrees = false;
    comparison.message = "large elements differ";
  }
  return comparison;
}

}  // namespace

Comparison Compare(const Tensor& actual, const Tensor& expected, const Tolerance& tolerance,
                   bool any_float) {
  if (actual.shape() != expected.shape()) {
    return Disagree(fmt::format("its shape is {}, expected {}", actual.shape().ToString(),
                                expected.shape().ToString()));
  }
  const bool both_floats = IsFloat(actual.dtype()) && IsFloat(expected.dtype());
  if (actual.dtype() != expected.dtype() && !(any_float && both_floats)) {
    return Disagree(fmt::format("its type is {}, expected {}", DTypeName(actual.dtype()),
                                DTypeName(expected.dtype())));
  }
  if (!both_floats) return CompareInts(actual, expected);
  if (actual.dtype() == expected.dtype()) return CompareFloats(actual, expected, tolerance);
  const Result<Tensor> rounded = actual.Cast(expected.dtype());
  if (!rounded.ok()) return Disagree(rounded.status().message());
  return CompareFloats(*rounded, expected, tolerance);
}

}  // namespace wsi
