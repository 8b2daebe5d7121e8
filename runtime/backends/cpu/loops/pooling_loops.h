// Inner loops of pooling over the channels of one position.
#pragma once

#include <cstdint>

#include "runtime/backends/cpu/isa.h"
#include "runtime/backends/cpu/storage.h"

namespace wsi::cpu {

template <typename T>
struct PoolingLoopsOf {
  // Where x wins over best (larger, or the first NaN), best = x and index = tap.
  void (*max_step)(const T* x, int64_t channels, int32_t tap, T* best, int32_t* index);
  void (*narrow)(const int32_t* index, int64_t channels, uint8_t* out);
  // dx += dy where index == tap.
  void (*max_grad_u8)(const T* dy, const uint8_t* index, int64_t channels, int32_t tap, float* dx);
  void (*max_grad_i32)(const T* dy, const int32_t* index, int64_t channels, int32_t tap, float* dx);
  // y += x * factor.
  void (*add_scaled)(const T* x, int64_t channels, float factor, float* y);
};

using PoolingLoops = ByStorage<PoolingLoopsOf>;
WSI_DECLARE_LOOPS(PoolingLoops, kPoolingLoops);

}  // namespace wsi::cpu
