// Activations with spatial axes, in either layout, and the windows that convolution
// and pooling move over them.
#pragma once

#include <vector>

#include "compiler/ops/op_def.h"

namespace wsi {

// An activation of 1 to 3 spatial axes. Channels first: [n, c, spatial...];
// channels last: [n, spatial..., c]. Every size is at least 1.
struct Activation {
  int64_t n = 0;
  int64_t c = 0;
  std::vector<int64_t> spatial;

  int64_t Positions() const;  // The product of `spatial`.
};

// Whether attribute channels_last is 1.
Result<bool> ChannelsLast(const Attributes& attributes);
// `what` names the shape in messages.
Result<Activation> SplitActivation(const Shape& shape, bool channels_last, std::string_view what);
Result<Shape> JoinActivation(const Activation& activation, bool channels_last);
// The axis of the channels of a tensor of rank `rank` >= 2.
inline int ChannelAxis(int rank, bool channels_last) { return channels_last ? rank - 1 : 1; }
// Every axis but that of the channels: what a per-channel sum runs over.
std::vector<int64_t> NonChannelAxes(int rank, bool channels_last);

// Attributes kernel_shape, strides, dilations and pads, one entry per spatial axis.
struct Window {
  std::vector<int64_t> kernel;
  std::vector<int64_t> strides;
  std::vector<int64_t> dilations;
  std::vector<int64_t> begins;
  std::vector<int64_t> ends;
  bool ceil_mode = false;

  int64_t Volume() const;  // Positions of the kernel.
};

Result<Window> CheckedWindow(const Attributes& attributes, int spatial_rank);
// Positions of the window along each axis of an input of sizes `input`:
//   floor((input + begin + end - (dilation * (kernel - 1) + 1)) / stride) + 1,
// with ceil_mode rounded up, unless the last window would begin in the end padding.
// An error where the kernel exceeds the padded input.
Result<std::vector<int64_t>> WindowOutput(const Window& window, std::span<const int64_t> input);
// An error if some window would hold nothing but padding.
Status WantNonemptyWindows(const Window& window, std::span<const int64_t> input);

}  // namespace wsi
