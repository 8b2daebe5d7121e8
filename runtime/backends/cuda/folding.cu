#include "runtime/backends/cuda/device.cuh"
#include "runtime/backends/cuda/folding.h"

namespace wsi::cuda {
namespace {

constexpr int kPackChannels = 8;

struct Sizes {
  int in[2], stride[2], kernel[2], offset[2];
  int channels;
  int64_t out_channels;
  int folded_width, folded_kernel[2], folded_channels;
};

Sizes SizesOf(const Folding& f) {
  Sizes s{};
  for (size_t a = 0; a < 2; ++a) {
    s.in[a] = static_cast<int>(f.from.in[a + 1]);
    s.stride[a] = static_cast<int>(f.from.stride[a + 1]);
    s.kernel[a] = static_cast<int>(f.from.kernel[a + 1]);
    s.offset[a] = static_cast<int>(f.offset[a + 1]);
    s.folded_kernel[a] = static_cast<int>(f.to.kernel[a + 1]);
  }
  s.channels = static_cast<int>(f.from.in_channels);
  s.out_channels = f.from.out_channels;
  s.folded_width = static_cast<int>(f.to.in[2]);
  s.folded_channels = static_cast<int>(f.to.in_channels);
  return s;
}

// Folded channel `c`: its place in the block of inputs and its channel; false in the padding.
struct Place {
  int at[2];
  int channel;
  __device__ bool Set(const Sizes& s, int c) {
    channel = c % s.channels;
    const int position = c / s.channels;
    at[1] = position % s.stride[1];
    at[0] = position / s.stride[1];
    return at[0] < s.stride[0];
  }
};

__global__ void FoldInputKernel(Sizes s, const uint16_t* x, int64_t first_row, int64_t packs,
                                uint16_t* to) {
  const int row_packs = s.folded_channels / kPackChannels;
  for (int64_t i = FirstItem(); i < packs; i += ItemStride()) {
    const int64_t position = i / row_packs;
    const int first = static_cast<int>(i % row_packs) * kPackChannels;
    const int64_t row = (first_row + position / s.folded_width) * s.stride[0];
    const int64_t column = position % s.folded_width * s.stride[1];
    Pack<uint16_t, kPackChannels> pack;
#pragma unroll
    for (int e = 0; e < kPackChannels; ++e) {
      Place place;
      const bool inside =
          place.Set(s, first + e) && row + place.at[0] < s.in[0] && column + place.at[1] < s.in[1];
      const int64_t at =
          ((row + place.at[0]) * s.in[1] + column + place.at[1]) * s.channels + place.channel;
      pack.v[e] = inside ? x[at] : uint16_t{0};
    }
    *reinterpret_cast<Pack<uint16_t, kPackChannels>*>(to + i * kPackChannels) = pack;
  }
}

// Where folded weight `i`, [O, kernel, channels], is in the weight, or -1.
__device__ int64_t WeightAt(const Sizes& s, int64_t i) {
  Place place;
  bool inside = place.Set(s, static_cast<int>(i % s.folded_channels));
  int64_t rest = i / s.folded_channels;
  int tap[2];
#pragma unroll
  for (int a = 1; a >= 0; --a) {
    tap[a] = static_cast<int>(rest % s.folded_kernel[a]) * s.stride[a] + place.at[a] - s.offset[a];
    rest /= s.folded_kernel[a];
    inside = inside && tap[a] >= 0 && tap[a] < s.kernel[a];
  }
  return inside
             ? ((rest * s.kernel[0] + tap[0]) * s.kernel[1] + tap[1]) * s.channels + place.channel
             : -1;
}

__global__ void FoldWeightKernel(Sizes s, int64_t count, const uint16_t* weight, uint16_t* to) {
  for (int64_t i = FirstItem(); i < count; i += ItemStride()) {
    const int64_t at = WeightAt(s, i);
    to[i] = at >= 0 ? weight[at] : uint16_t{0};
  }
}

__global__ void UnfoldWeightKernel(Sizes s, int64_t count, const float* folded, bool add,
                                   float* weight) {
  for (int64_t i = FirstItem(); i < count; i += ItemStride()) {
    const int64_t at = WeightAt(s, i);
    if (at >= 0) weight[at] = add ? weight[at] + folded[i] : folded[i];
  }
}

int64_t FoldedWeights(const Folding& f) {
  return f.to.out_channels * f.to.KernelPositions() * f.to.in_channels;
}

}  // namespace

Status FoldInput(const Folding& folding, const void* image, int64_t first_row, int64_t rows,
                 void* to, cudaStream_t stream) {
  const int64_t packs = rows * folding.to.in[2] * (folding.to.in_channels / kPackChannels);
  FoldInputKernel<<<GridFor(packs), kThreads, 0, stream>>>(
      SizesOf(folding), static_cast<const uint16_t*>(image), first_row, packs,
      static_cast<uint16_t*>(to));
  return LaunchStatus();
}

Status FoldWeight(const Folding& folding, const void* weight, void* to, cudaStream_t stream) {
  const int64_t count = FoldedWeights(folding);
  FoldWeightKernel<<<GridFor(count), kThreads, 0, stream>>>(
      SizesOf(folding), count, static_cast<const uint16_t*>(weight), static_cast<uint16_t*>(to));
  return LaunchStatus();
}

Status UnfoldWeight(const Folding& folding, const float* folded, bool add, float* weight,
                    cudaStream_t stream) {
  const int64_t count = FoldedWeights(folding);
  UnfoldWeightKernel<<<GridFor(count), kThreads, 0, stream>>>(SizesOf(folding), count, folded, add,
                                                              weight);
  return LaunchStatus();
}

}  // namespace wsi::cuda
