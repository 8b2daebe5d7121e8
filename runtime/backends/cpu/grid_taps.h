// What GridSample reads for one number of its grid along one axis, and for one position
// of the result.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace wsi::cpu {

enum class GridMode : uint8_t { kNearest, kLinear, kCubic };
enum class GridPadding : uint8_t { kZeros, kBorder, kReflection };

inline constexpr int kMaxGridAxes = 3;
inline constexpr int kMaxAxisTaps = 4;
inline constexpr int kMaxGridTaps = 64;

// Along one axis. A slope is the weight's derivative by the grid's number.
struct AxisTaps {
  int count = 0;
  std::array<int64_t, kMaxAxisTaps> index{};
  std::array<double, kMaxAxisTaps> weight{};
  std::array<double, kMaxAxisTaps> slope{};
};

struct GridRule {
  GridMode mode = GridMode::kLinear;
  GridPadding padding = GridPadding::kZeros;
  bool align_corners = false;

  AxisTaps Along(double number, int64_t size) const;
};

// Products over the axes: offsets within a plane of x, row-major.
struct GridTaps {
  int count = 0;
  std::array<int64_t, kMaxGridTaps> offset{};
  std::array<double, kMaxGridTaps> weight{};
  // By the grid's numbers, in x's order of axes.
  std::array<std::array<double, kMaxGridTaps>, kMaxGridAxes> slope{};

  // `axes` sizes of x; `numbers` of the grid, the last axis first.
  void Read(const GridRule& rule, int axes, const std::array<int64_t, kMaxGridAxes>& sizes,
            const std::array<double, kMaxGridAxes>& numbers);
};

}  // namespace wsi::cpu
