#include "frontends/onnx/resize_table.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace wsi {
namespace {

// The input coordinate of output position `y`. Sizes of the output are scale * input where
// ONNX's formulas say so, though that be no integer.
double Coordinate(const ResizeAxis& axis, double y) {
  const auto input = static_cast<double>(axis.input);
  const double output = axis.scale * input;
  const double half_pixel = (y + 0.5) / axis.scale - 0.5;
  switch (axis.coordinates) {
    case ResizeCoordinates::kHalfPixel: return half_pixel;
    case ResizeCoordinates::kHalfPixelSymmetric: {
      const double adjustment = static_cast<double>(axis.output) / output;
      return input / 2 * (1 - adjustment) + half_pixel;
    }
    case ResizeCoordinates::kPytorchHalfPixel: return output == 1 ? -0.5 : half_pixel;
    case ResizeCoordinates::kAlignCorners: return output == 1 ? 0 : y * (input - 1) / (output - 1);
    case ResizeCoordinates::kAsymmetric: return y / axis.scale;
    case ResizeCoordinates::kCropAndResize: break;
  }
  const double span = (axis.roi_end - axis.roi_start) * (input - 1);
  const double within = output == 1 ? span / 2 : y * span / (output - 1);
  return axis.roi_start * (input - 1) + within;
}

double CubicKernel(double x, double a) {
  x = std::abs(x);
  if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
  return 0;
}

double Kernel(const ResizeAxis& axis, double x) {
  if (axis.mode == ResizeMode::kCubic) return CubicKernel(x, axis.cubic_coefficient);
  return std::max(0.0, 1 - std::abs(x));
}

int64_t NearestIndex(const ResizeAxis& axis, double x) {
  const double below = std::floor(x);
  const double ratio = x - below;
  const auto index = static_cast<int64_t>(below);
  if (ratio == 0) return index;
  switch (axis.rounding) {
    case ResizeRounding::kPreferFloor: return index + (ratio > 0.5 ? 1 : 0);
    case ResizeRounding::kPreferCeil: return index + (ratio >= 0.5 ? 1 : 0);
    case ResizeRounding::kFloor: return index;
    case ResizeRounding::kCeil: return index + 1;
  }
  return index;
}

}  // namespace

// Interpolation reads the positions under a kernel around the coordinate; antialiasing
// widens the kernel by 1 / scale where the axis shrinks. Positions beyond an edge read the
// edge, or nothing with exclude_outside.
ResizeTable MakeResizeTable(const ResizeAxis& axis) {
  ResizeTable table;
  const bool nearest = axis.mode == ResizeMode::kNearest;
  const double shrink = axis.antialias ? std::min(axis.scale, 1.0) : 1.0;
  const double reach = (axis.mode == ResizeMode::kCubic ? 2 : 1) / shrink;
  const auto radius = static_cast<int64_t>(std::ceil(reach));
  table.taps = nearest ? 1 : 2 * radius;
  for (int64_t y = 0; y < axis.output; ++y) {
    const double x = Coordinate(axis, static_cast<double>(y));
    table.outside.push_back(axis.coordinates == ResizeCoordinates::kCropAndResize &&
                            (x < 0 || x > static_cast<double>(axis.input - 1)));
    if (nearest) {
      table.indices.push_back(std::clamp<int64_t>(NearestIndex(axis, x), 0, axis.input - 1));
      table.weights.push_back(1);
      continue;
    }
    const auto first = static_cast<int64_t>(std::floor(x)) - radius + 1;
    const size_t begin = table.weights.size();
    for (int64_t i = first; i < first + table.taps; ++i) {
      const bool inside = i >= 0 && i < axis.input;
      const double weight = Kernel(axis, (static_cast<double>(i) - x) * shrink);
      table.indices.push_back(std::clamp<int64_t>(i, 0, axis.input - 1));
      table.weights.push_back(inside || !axis.exclude_outside ? weight : 0);
    }
    const auto weights = table.weights.begin() + static_cast<int64_t>(begin);
    const double sum = std::accumulate(weights, table.weights.end(), 0.0);
    if (!axis.antialias && !axis.exclude_outside) continue;
    for (auto at = weights; at != table.weights.end(); ++at) *at /= sum;
  }
  return table;
}

}  // namespace wsi
