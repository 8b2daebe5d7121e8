// When a computed tensor agrees with the expected one: ONNX's own rule for its backend
// test cases.
#pragma once

#include <string>

#include "runtime/base/tensor.h"

namespace wsi {

struct Tolerance {
  double relative = 1e-3;
  double absolute = 1e-7;
};

struct Comparison {
  bool agrees = true;
  double largest_difference = 0;  // Over all pairs of finite elements.
  std::string message;            // Where they do not agree: what and where.
};

// |actual - expected| <= absolute + relative * |expected|, element by element; NaN agrees
// with NaN, an infinity with itself. Two bfloat16 steps (2^-6) are always allowed between
// bfloat16 numbers. `any_float`: the actual type may be any float where a float is
// expected, as of a device that computes in fp64 throughout; it is rounded first.
Comparison Compare(const Tensor& actual, const Tensor& expected, const Tolerance& tolerance,
                   bool any_float);

}  // namespace wsi
