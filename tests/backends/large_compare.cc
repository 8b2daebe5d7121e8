#include "tests/backends/large_compare.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace wsi {
namespace {

constexpr double kEpsilon = 0x1p-23;  // Of single precision.

double RoundingOf(DType dtype, double value) {
  if (dtype == DType::kF16) return 0x1p-11 * std::abs(value) + 0x1p-25;
  return dtype == DType::kBF16 ? 0x1p-8 * std::abs(value) : 0.0;
}

}  // namespace

Status CheckClose(const Tensor& got, const Tensor& want, const Bound& bound) {
  if (got.shape() != want.shape()) {
    return InternalError(fmt::format("the reference has the shape {}, wanted {}",
                                     want.shape().ToString(), got.shape().ToString()));
  }
  const std::vector<double> a = got.ToDoubles();
  const std::vector<double> b = want.ToDoubles();
  double largest = 0;
  for (const double v : b) largest = std::max(largest, std::isfinite(v) ? std::abs(v) : 0.0);
  for (size_t i = 0; i < a.size(); ++i) {
    if (a[i] == b[i]) continue;
    const double magnitude = (bound.per_element ? std::abs(b[i]) : largest) + bound.floor;
    const double allowed =
        kEpsilon * bound.c * std::sqrt(bound.length) * magnitude + RoundingOf(got.dtype(), b[i]);
    if (IsFloat(got.dtype()) && std::abs(a[i] - b[i]) <= allowed) continue;
    return InternalError(
        fmt::format("element {} of {}: got {}, wanted {}", i, want.shape().ToString(), a[i], b[i]));
  }
  return {};
}

}  // namespace wsi
