// Copies of half-precision tensors with more channels: tensor cores want multiples of 8.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "runtime/base/status.h"

namespace wsi::cuda {

// [positions, channels] into [positions, padded], 0 behind the channels; 2-byte elements.
// `to` is aligned to 16; `padded` is a multiple of 8.
Status PadChannels(const void* from, int64_t positions, int64_t channels, int64_t padded, void* to,
                   cudaStream_t stream);

// A weight and a wider one in fp32, [out, taps, in].
struct CroppedWeight {
  int64_t out;
  int64_t taps;
  int64_t in;
  int64_t padded_in;
};
// The front channels of `from`, added to `to` or written there.
Status CropWeight(const float* from, const CroppedWeight& weight, bool add, float* to,
                  cudaStream_t stream);

}  // namespace wsi::cuda
