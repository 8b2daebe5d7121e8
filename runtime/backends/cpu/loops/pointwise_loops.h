// Inner loops of elementwise operators on fp32 and fp64; the types of two bytes go
// through fp32 in blocks (pointwise.cc). A stride is 1, or 0 for an operand
// that is one number. An output may be an input that has stride 1.
#pragma once

#include <cstdint>

#include "runtime/backends/cpu/isa.h"

namespace wsi::cpu {

// Attributes of a pointwise operator, in its own order: alpha, beta; or min, max.
template <typename R>
struct PointwiseNumbers {
  R a = 0;
  R b = 0;
};

template <typename R>
struct PointwiseLoopsOf {
  using UnaryLoop = void (*)(const R* x, int64_t n, PointwiseNumbers<R> numbers, R* y);
  using BinaryLoop = void (*)(const R* a, int64_t a_stride, const R* b, int64_t b_stride, int64_t n,
                              PointwiseNumbers<R> numbers, R* y);
  using CompareLoop = void (*)(const R* a, int64_t a_stride, const R* b, int64_t b_stride,
                               int64_t n, uint8_t* y);

  // y = condition != 0 ? a : b
  using SelectLoop = void (*)(const R* condition, int64_t c_stride, const R* a, int64_t a_stride,
                              const R* b, int64_t b_stride, int64_t n, R* y);

  UnaryLoop relu, sigmoid, tanh, exp, log, sqrt, neg, abs, reciprocal, erf, softplus;
  UnaryLoop hard_sigmoid, hard_swish, leaky_relu, elu, clip, sign, floor, ceil;
  UnaryLoop cos, cosh, gelu, round, sin, sinh;
  BinaryLoop add, sub, mul, div, pow, max, min;
  BinaryLoop mod;  // numbers.a: 0 for the sign of the divisor, 1 for that of the dividend.
  // First operand dy, second x or y as the operator says.
  BinaryLoop relu_grad, clip_grad, sigmoid_grad, tanh_grad, erf_grad, hard_sigmoid_grad;
  BinaryLoop hard_swish_grad, leaky_relu_grad, elu_grad, gelu_grad;
  CompareLoop equal, less, greater;
  // In programs (pointwise_program.cc) truth values are 0 and 1 of the loops' own type.
  BinaryLoop equal_truth, less_truth, greater_truth, logical_and, logical_or;
  UnaryLoop logical_not;
  SelectLoop select;
  // y = a * momentum + b * (1 - momentum), momentum = numbers.a.
  BinaryLoop moving_average;
};

struct PointwiseLoops {
  PointwiseLoopsOf<float> f32;
  PointwiseLoopsOf<double> f64;

  template <typename R>
  const PointwiseLoopsOf<R>& Of() const {
    if constexpr (sizeof(R) == sizeof(float)) {
      return f32;
    } else {
      return f64;
    }
  }
};
WSI_DECLARE_LOOPS(PointwiseLoops, kPointwiseLoops);

}  // namespace wsi::cpu
