#include "runtime/backends/window.h"

#include <limits>

namespace wsi {
namespace {

// Keeps (kernel - 1) * dilation + pads within int64_t.
constexpr int64_t kMost = std::numeric_limits<int32_t>::max();
constexpr int64_t kMaxKernel = int64_t{1} << 20;  // Per axis: the volume fits int64_t.

// ONNX's formula, with PyTorch's rule for ceil_mode: the last window starts inside the
// input or its leading pad.
int64_t OutputSize(int64_t in, int64_t kernel, int64_t stride, int64_t dilation, int64_t begin,
                   int64_t end, bool ceil_mode) {
  const int64_t room = in + begin + end - (kernel - 1) * dilation - 1;
  if (room < 0) return 0;
  if (!ceil_mode) return room / stride + 1;
  const int64_t out = CeilDiv(room, stride) + 1;
  return (out - 1) * stride >= in + begin ? out - 1 : out;
}

}  // namespace

Window ReadWindow(LaunchCheck& check, const Shape& input, const Shape& output) {
  check.ChannelsLast(input, 3);
  check.Require(input.rank() == output.rank(), "input and output differ in rank");
  if (!check.status().ok()) return {};
  const auto spatial = static_cast<size_t>(input.rank() - 2);
  const auto kernel = check.Ints("kernel_shape", spatial, 1, kMaxKernel);
  const auto strides = check.Ints("strides", spatial, 1, kMost);
  const auto dilations = check.Ints("dilations", spatial, 1, kMost);
  const auto pads = check.Ints("pads", 2 * spatial, 0, kMost);
  const bool ceil_mode = check.Flag("ceil_mode");
  Window w;
  w.batch = input[0];
  w.in_channels = input[-1];
  w.out_channels = output[-1];
  check.Require(output[0] == w.batch, "input and output differ in batch size");
  for (size_t i = 0; i < spatial; ++i) {
    const size_t a = 3 - spatial + i;
    w.in[a] = input[static_cast<int>(i) + 1];
    w.out[a] = output[static_cast<int>(i) + 1];
    w.kernel[a] = kernel[i];
    w.stride[a] = strides[i];
    w.dilation[a] = dilations[i];
    w.pad_begin[a] = pads[i];
    w.pad_end[a] = pads[spatial + i];
    check.Require(w.out[a] == OutputSize(w.in[a], kernel[i], strides[i], dilations[i], pads[i],
                                         pads[spatial + i], ceil_mode),
                  "the output's spatial sizes are not those of the window");
  }
  return w;
}

Shape ReadInputShape(LaunchCheck& check, int rank) {
  const auto sizes =
      check.Ints("input_shape", static_cast<size_t>(rank), 0, std::numeric_limits<int64_t>::max());
  Result<Shape> shape = Shape::Make(sizes);
  check.Require(shape.ok(), "input_shape is too large");
  return shape.ok() ? *shape : Shape();
}

}  // namespace wsi
