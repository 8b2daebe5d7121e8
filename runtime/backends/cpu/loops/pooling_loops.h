// Inner loops of pooling over the channels of one position.
#pragma once

#include <cstdint>

#include "runtime/backends/cpu/isa.h"

namespace wsi::cpu {

struct PoolingLoops {
  // Where x wins over best (larger, or the first NaN), best = x and index = tap.
  void (*max_step)(const float* x, int64_t channels, int32_t tap, float* best, int32_t* index);
  void (*narrow)(const int32_t* index, int64_t channels, uint8_t* out);
  // dx += dy where index == tap.
  void (*max_grad_u8)(const float* dy, const uint8_t* index, int64_t channels, int32_t tap,
                      float* dx);
  void (*max_grad_i32)(const float* dy, const int32_t* index, int64_t channels, int32_t tap,
                       float* dx);
  // y += x * factor.
  void (*add_scaled)(const float* x, int64_t channels, float factor, float* y);
};

WSI_DECLARE_LOOPS(PoolingLoops, kPoolingLoops);

}  // namespace wsi::cpu
