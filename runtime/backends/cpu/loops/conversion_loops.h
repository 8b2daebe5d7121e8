// Conversions between fp32 and the types of two bytes, rounding to nearest even.
#pragma once

#include <cstdint>

#include "runtime/backends/cpu/isa.h"
#include "runtime/backends/cpu/storage.h"

namespace wsi::cpu {

struct ConversionLoops {
  void (*widen_half)(const Half* x, int64_t n, float* y);
  void (*widen_bfloat16)(const BFloat16* x, int64_t n, float* y);
  void (*narrow_half)(const float* x, int64_t n, Half* y);
  void (*narrow_bfloat16)(const float* x, int64_t n, BFloat16* y);
};

WSI_DECLARE_LOOPS(ConversionLoops, kConversionLoops);

}  // namespace wsi::cpu
