// Inner loops of elementwise operators on fp32. A stride is 1, or 0 for an operand
// that is one number. An output may be an input that has stride 1.
#pragma once

#include <cstdint>

#include "runtime/backends/cpu/isa.h"

namespace wsi::cpu {

// Attributes of a pointwise operator, in its own order: alpha, beta; or min, max.
struct PointwiseNumbers {
  float a = 0;
  float b = 0;
};

using UnaryLoop = void (*)(const float* x, int64_t n, PointwiseNumbers numbers, float* y);
using BinaryLoop = void (*)(const float* a, int64_t a_stride, const float* b, int64_t b_stride,
                            int64_t n, PointwiseNumbers numbers, float* y);
using CompareLoop = void (*)(const float* a, int64_t a_stride, const float* b, int64_t b_stride,
                             int64_t n, uint8_t* y);

struct PointwiseLoops {
  UnaryLoop relu, sigmoid, tanh, exp, log, sqrt, neg, abs, reciprocal, erf, softplus;
  UnaryLoop hard_sigmoid, hard_swish, leaky_relu, elu, clip, sign, floor, ceil;
  BinaryLoop add, sub, mul, div, pow, max, min;
  // First operand dy, second x or y as the operator says.
  BinaryLoop relu_grad, clip_grad, sigmoid_grad, tanh_grad, erf_grad, hard_sigmoid_grad;
  BinaryLoop hard_swish_grad, leaky_relu_grad, elu_grad;
  CompareLoop equal, less, greater;
  // y = a * momentum + b * (1 - momentum), momentum = numbers.a.
  BinaryLoop moving_average;
};

WSI_DECLARE_LOOPS(PointwiseLoops, kPointwiseLoops);

}  // namespace wsi::cpu
