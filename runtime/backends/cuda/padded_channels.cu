#include "runtime/backends/cuda/device.cuh"
#include "runtime/backends/cuda/padded_channels.h"

namespace wsi::cuda {
namespace {

__global__ void PadKernel(const uint16_t* from, int64_t packs, int64_t channels, int64_t padded,
                          uint16_t* to) {
  const int64_t row = padded / 8;
  for (int64_t i = FirstItem(); i < packs; i += ItemStride()) {
    const int64_t first = i % row * 8;
    const uint16_t* at = from + i / row * channels + first;
    Pack<uint16_t, 8> pack;
#pragma unroll
    for (int k = 0; k < 8; ++k) pack.v[k] = first + k < channels ? at[k] : uint16_t{0};
    *reinterpret_cast<Pack<uint16_t, 8>*>(to + i * 8) = pack;
  }
}

__global__ void CropKernel(const float* from, CroppedWeight w, bool add, float* to) {
  const int64_t count = w.out * w.taps * w.in;
  for (int64_t i = FirstItem(); i < count; i += ItemStride()) {
    const float v = from[i / w.in * w.padded_in + i % w.in];
    to[i] = add ? to[i] + v : v;
  }
}

}  // namespace

Status PadChannels(const void* from, int64_t positions, int64_t channels, int64_t padded, void* to,
                   cudaStream_t stream) {
  const int64_t packs = positions * (padded / 8);
  PadKernel<<<GridFor(packs), kThreads, 0, stream>>>(static_cast<const uint16_t*>(from), packs,
                                                     channels, padded, static_cast<uint16_t*>(to));
  return LaunchStatus();
}

Status CropWeight(const float* from, const CroppedWeight& weight, bool add, float* to,
                  cudaStream_t stream) {
  CropKernel<<<GridFor(weight.out * weight.taps * weight.in), kThreads, 0, stream>>>(from, weight,
                                                                                     add, to);
  return LaunchStatus();
}

}  // namespace wsi::cuda
