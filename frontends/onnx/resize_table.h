// How one axis of ONNX's Resize reads its input: for each output position the input
// positions and their weights.
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/base/status.h"

namespace wsi {

enum class ResizeMode : uint8_t { kNearest, kLinear, kCubic };
enum class ResizeCoordinates : uint8_t {
  kHalfPixel,
  kHalfPixelSymmetric,
  kPytorchHalfPixel,
  kAlignCorners,
  kAsymmetric,
  kCropAndResize,
};
enum class ResizeRounding : uint8_t { kPreferFloor, kPreferCeil, kFloor, kCeil };

struct ResizeAxis {
  int64_t input = 0;
  int64_t output = 0;
  double scale = 1;
  double roi_start = 0;  // Of kCropAndResize, in parts of the axis.
  double roi_end = 1;
  ResizeMode mode = ResizeMode::kNearest;
  ResizeCoordinates coordinates = ResizeCoordinates::kHalfPixel;
  ResizeRounding rounding = ResizeRounding::kPreferFloor;
  double cubic_coefficient = -0.75;
  bool exclude_outside = false;
  bool antialias = false;
};

struct ResizeTable {
  int64_t taps = 0;              // Per output position.
  std::vector<int64_t> indices;  // [output, taps], inside the input.
  std::vector<double> weights;   // [output, taps]
  std::vector<bool> outside;     // By output position, of kCropAndResize alone: not read.
};
// REQUIRES: input, output and scale are positive.
ResizeTable MakeResizeTable(const ResizeAxis& axis);

}  // namespace wsi
