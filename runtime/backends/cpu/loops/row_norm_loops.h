// Inner loops of layer and root mean square normalization: a row is what one mean and one
// deviation belong to.
#pragma once

#include <cstdint>

#include "runtime/backends/cpu/isa.h"

namespace wsi::cpu {

struct RowNormLoops {
  // Of a row or a part of it: the sum, and the sum of squared deviations from `center`.
  double (*sum)(const float* x, int64_t n);
  double (*squares)(const float* x, int64_t n, float center);
  // y = (x - mean) * inverse * scale + bias; bias may be null.
  void (*apply)(const float* x, int64_t n, float mean, float inverse, const float* scale,
                const float* bias, float* y);
  // With xhat = (x - mean) * inverse: adds dy * xhat to dscale and dy, where it is given, to
  // dbias; gives the sums of dy * scale and of dy * scale * xhat.
  void (*grad_sums)(const float* dy, const float* x, int64_t n, float mean, float inverse,
                    const float* scale, float* dscale, float* dbias, double* sum, double* dot);
  // dx = inverse * (dy * scale - shift - xhat * slope).
  void (*grad_apply)(const float* dy, const float* x, int64_t n, float mean, float inverse,
                     const float* scale, float shift, float slope, float* dx);
};

WSI_DECLARE_LOOPS(RowNormLoops, kRowNormLoops);

}  // namespace wsi::cpu
