// Where the windows of convolutions and pools lie. One and two spatial axes become three
// with leading ones, so that one triple loop serves all.
#pragma once

#include <array>
#include <cstdint>

#include "runtime/backends/launch_check.h"

namespace wsi {

using Index3 = std::array<int64_t, 3>;

struct Window {
  int64_t batch = 1;
  int64_t in_channels = 1;
  int64_t out_channels = 1;
  Index3 in{1, 1, 1};
  Index3 out{1, 1, 1};
  Index3 kernel{1, 1, 1};
  Index3 stride{1, 1, 1};
  Index3 dilation{1, 1, 1};
  Index3 pad_begin{0, 0, 0};
  Index3 pad_end{0, 0, 0};

  constexpr int64_t InPositions() const { return in[0] * in[1] * in[2]; }
  constexpr int64_t OutPositions() const { return out[0] * out[1] * out[2]; }
  constexpr int64_t KernelPositions() const { return kernel[0] * kernel[1] * kernel[2]; }

  // The input coordinates that tap `k` of output `o` reads, or false where it is padding.
  constexpr bool Tap(const Index3& o, const Index3& k, Index3& i) const {
    bool inside = true;
    for (size_t a = 0; a < 3; ++a) {
      i[a] = o[a] * stride[a] + k[a] * dilation[a] - pad_begin[a];
      inside = inside && i[a] >= 0 && i[a] < in[a];
    }
    return inside;
  }
  // Whether `i`, from Tap, lies within the padded input: ceil_mode goes beyond it.
  constexpr bool InPadded(const Index3& i) const {
    return i[0] < in[0] + pad_end[0] && i[1] < in[1] + pad_end[1] && i[2] < in[2] + pad_end[2];
  }
};

constexpr int64_t Flat(const Index3& index, const Index3& sizes) {
  return (index[0] * sizes[1] + index[1]) * sizes[2] + index[2];
}

// Calls f(index) for every index below `sizes`, row-major.
template <typename F>
void ForEachIndex(const Index3& sizes, F f) {
  Index3 i{};
  for (i[0] = 0; i[0] < sizes[0]; ++i[0]) {
    for (i[1] = 0; i[1] < sizes[1]; ++i[1]) {
      for (i[2] = 0; i[2] < sizes[2]; ++i[2]) f(i);
    }
  }
}

// Reads kernel_shape, strides, dilations, pads and ceil_mode, and checks that they map
// `input` to `output`: same batch, the sizes that ONNX's formula gives.
Window ReadWindow(LaunchCheck& check, const Shape& input, const Shape& output);
// The shape in attribute input_shape, of rank `rank`.
Shape ReadInputShape(LaunchCheck& check, int rank);

}  // namespace wsi
