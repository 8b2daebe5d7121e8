#include "runtime/backends/cpu/grid_taps.h"

#include <algorithm>
#include <cmath>

namespace wsi::cpu {
namespace {

struct Mirrored {
  double x = 0;
  double direction = 1;
};

// x mirrored at low and high until it lies between them.
Mirrored Mirror(double x, double low, double high) {
  const double range = high - low;
  if (range <= 0) return {0, 0};
  const double distance = std::fabs(x - low);
  const double turns = std::floor(distance / range);
  const double rest = distance - turns * range;
  const bool even = std::fmod(turns, 2.0) == 0;
  const double direction = (x < low) == even ? -1 : 1;
  return {even ? low + rest : high - rest, direction};
}

// Keys' cubic convolution with a = -0.75: weights of the four positions around t in [0, 1),
// and their derivatives.
void CubicWeights(double t, std::array<double, 4>& weight, std::array<double, 4>& slope) {
  constexpr double kA = -0.75;
  const auto near = [](double d) { return ((kA + 2) * d - (kA + 3)) * d * d + 1; };
  const auto near_slope = [](double d) { return (3 * (kA + 2) * d - 2 * (kA + 3)) * d; };
  const auto far = [](double d) { return ((d - 5) * d + 8) * d * kA - 4 * kA; };
  const auto far_slope = [](double d) { return ((3 * d - 10) * d + 8) * kA; };
  weight = {far(1 + t), near(t), near(1 - t), far(2 - t)};
  slope = {far_slope(1 + t), near_slope(t), -near_slope(1 - t), -far_slope(2 - t)};
}

}  // namespace

AxisTaps GridRule::Along(double number, int64_t size) const {
  const auto length = static_cast<double>(size);
  const double low = align_corners ? 0.0 : -0.5;
  const double high = align_corners ? length - 1 : length - 0.5;
  double x = align_corners ? (number + 1) / 2 * (length - 1) : ((number + 1) * length - 1) / 2;
  double speed = align_corners ? (length - 1) / 2 : length / 2;
  if (mode == GridMode::kNearest) x = std::nearbyint(x);
  if (padding == GridPadding::kBorder && (x < low || x > high)) {
    x = std::clamp(x, 0.0, length - 1);
    speed = 0;
  }
  if (padding == GridPadding::kReflection && (x < low || x > high)) {
    const Mirrored mirrored = Mirror(x, low, high);
    x = mirrored.x;
    speed *= mirrored.direction;
  }
  AxisTaps taps;
  if (!(x > -8 && x < length + 8)) return taps;  // NaN too.
  const double floor = std::floor(x);
  const double t = x - floor;
  auto first = static_cast<int64_t>(floor);
  int count = 1;
  std::array<double, 4> weight = {1, 0, 0, 0};
  std::array<double, 4> slope{};
  if (mode == GridMode::kLinear) {
    count = 2;
    weight = {1 - t, t, 0, 0};
    slope = {-1, 1, 0, 0};
  } else if (mode == GridMode::kCubic) {
    count = 4;
    first -= 1;
    CubicWeights(t, weight, slope);
  }
  for (int i = 0; i < count; ++i) {
    int64_t index = first + i;
    if (index < 0 || index >= size) {
      if (padding == GridPadding::kZeros) continue;
      if (padding == GridPadding::kReflection) {
        index = static_cast<int64_t>(Mirror(static_cast<double>(index), low, high).x);
      }
      index = std::clamp<int64_t>(index, 0, size - 1);
    }
    const auto at = static_cast<size_t>(taps.count++);
    taps.index[at] = index;
    taps.weight[at] = weight[static_cast<size_t>(i)];
    taps.slope[at] = slope[static_cast<size_t>(i)] * speed;
  }
  return taps;
}

void GridTaps::Read(const GridRule& rule, int axes, const std::array<int64_t, kMaxGridAxes>& sizes,
                    const std::array<double, kMaxGridAxes>& numbers) {
  count = 1;
  offset[0] = 0;
  weight[0] = 1;
  for (auto& by : slope) by[0] = 1;
  for (int axis = 0; axis < axes; ++axis) {
    const auto a = static_cast<size_t>(axis);
    const AxisTaps along = rule.Along(numbers[static_cast<size_t>(axes - 1 - axis)], sizes[a]);
    // From the last one on, so that what is still to be multiplied stays.
    for (int old = count - 1; old >= 0; --old) {
      const auto from = static_cast<size_t>(old);
      const int64_t old_offset = offset[from];
      const double old_weight = weight[from];
      const std::array<double, kMaxGridAxes> old_slope = {slope[0][from], slope[1][from],
                                                          slope[2][from]};
      for (int i = along.count - 1; i >= 0; --i) {
        const auto to = from * static_cast<size_t>(along.count) + static_cast<size_t>(i);
        const auto k = static_cast<size_t>(i);
        offset[to] = old_offset * sizes[a] + along.index[k];
        weight[to] = old_weight * along.weight[k];
        for (size_t by = 0; by < kMaxGridAxes; ++by) {
          slope[by][to] = old_slope[by] * (by == a ? along.slope[k] : along.weight[k]);
        }
      }
    }
    count *= along.count;
  }
}

}  // namespace wsi::cpu
