#include "compiler/ops/spatial.h"

#include <fmt/format.h>

#include <functional>
#include <numeric>

#include "compiler/ops/attribute_check.h"

namespace wsi {
namespace {

constexpr int kMaxSpatialRank = 3;

// dilation * (kernel - 1) + 1, below 2^62 because both factors are below 2^31.
int64_t Extent(const Window& window, size_t axis) {
  return window.dilations[axis] * (window.kernel[axis] - 1) + 1;
}

}  // namespace

int64_t Activation::Positions() const {
  return std::accumulate(spatial.begin(), spatial.end(), int64_t{1}, std::multiplies<>());
}

Result<bool> ChannelsLast(const Attributes& attributes) {
  return CheckedFlag(attributes, "channels_last", false);
}

Result<Activation> SplitActivation(const Shape& shape, bool channels_last, std::string_view what) {
  const int spatial_rank = shape.rank() - 2;
  if (spatial_rank < 1 || spatial_rank > kMaxSpatialRank) {
    return InvalidInput(
        fmt::format("{} has shape {}, wants batch, channels and 1 to {} spatial axes", what,
                    shape.ToString(), kMaxSpatialRank));
  }
  for (const int64_t size : shape) {
    if (size < 1) {
      return InvalidInput(
          fmt::format("{} has shape {}, wants sizes of at least 1", what, shape.ToString()));
    }
  }
  Activation activation{.n = shape[0], .c = shape[channels_last ? -1 : 1], .spatial = {}};
  const auto begin = shape.begin() + (channels_last ? 1 : 2);
  activation.spatial.assign(begin, begin + spatial_rank);
  return activation;
}

Result<Shape> JoinActivation(const Activation& activation, bool channels_last) {
  std::vector<int64_t> sizes = {activation.n};
  if (!channels_last) sizes.push_back(activation.c);
  sizes.insert(sizes.end(), activation.spatial.begin(), activation.spatial.end());
  if (channels_last) sizes.push_back(activation.c);
  return Shape::Make(sizes);
}

std::vector<int64_t> NonChannelAxes(int rank, bool channels_last) {
  std::vector<int64_t> axes;
  for (int axis = 0; axis < rank; ++axis) {
    if (axis != ChannelAxis(rank, channels_last)) axes.push_back(axis);
  }
  return axes;
}

int64_t Window::Volume() const {
  return std::accumulate(kernel.begin(), kernel.end(), int64_t{1}, std::multiplies<>());
}

Result<Window> CheckedWindow(const Attributes& attributes, int spatial_rank) {
  if (attributes.Has("auto_pad")) {
    return InvalidInput("attribute auto_pad is not canonical, wants explicit pads");
  }
  Window window;
  WSI_ASSIGN_OR_RETURN(window.kernel,
                       CheckedInts(attributes, "kernel_shape", 1, kMaxWindow, spatial_rank));
  WSI_ASSIGN_OR_RETURN(window.strides,
                       CheckedInts(attributes, "strides", 1, kMaxWindow, spatial_rank));
  WSI_ASSIGN_OR_RETURN(window.dilations,
                       CheckedInts(attributes, "dilations", 1, kMaxWindow, spatial_rank));
  WSI_ASSIGN_OR_RETURN(const std::vector<int64_t> pads,
                       CheckedInts(attributes, "pads", 0, kMaxWindow, 2 * spatial_rank));
  window.begins.assign(pads.begin(), pads.begin() + spatial_rank);
  window.ends.assign(pads.begin() + spatial_rank, pads.end());
  int64_t volume = 1;
  for (const int64_t size : window.kernel) {
    WSI_ASSIGN_OR_RETURN(volume, CheckedMul(volume, size));
  }
  return window;
}

Result<std::vector<int64_t>> WindowOutput(const Window& window, std::span<const int64_t> input) {
  std::vector<int64_t> output;
  for (size_t i = 0; i < input.size(); ++i) {
    WSI_ASSIGN_OR_RETURN(int64_t padded, CheckedAdd(input[i], window.begins[i]));
    WSI_ASSIGN_OR_RETURN(padded, CheckedAdd(padded, window.ends[i]));
    const int64_t extent = Extent(window, i);
    if (extent > padded) {
      return InvalidInput(fmt::format(
          "kernel {} with dilation {} covers {} positions of spatial axis {}, which has {} with "
          "padding",
          window.kernel[i], window.dilations[i], extent, i, padded));
    }
    const int64_t stride = window.strides[i];
    int64_t positions = (padded - extent) / stride + 1;
    const bool rest = (padded - extent) % stride != 0;
    if (window.ceil_mode && rest && positions * stride < input[i] + window.begins[i]) ++positions;
    output.push_back(positions);
  }
  return output;
}

namespace {

// Windows that begin in the padding, of which each is looked at; more are not trusted.
constexpr int64_t kMaxPaddedWindows = int64_t{1} << 20;

// Whether some window that begins before the input of `size` has it between two taps: the
// first tap that is not before it is behind it. No window ends before the input.
bool PassesOver(const Window& window, size_t i, int64_t size, int64_t windows) {
  const int64_t dilation = window.dilations[i];
  if (dilation <= size) return false;
  if (windows > kMaxPaddedWindows) return window.begins[i] > 0;
  int64_t before = window.begins[i];
  for (int64_t j = 0; j < windows && before > 0; ++j, before -= window.strides[i]) {
    if ((dilation - before % dilation) % dilation >= size) return true;
  }
  return false;
}

}  // namespace

// A window misses [0, input) if it lies before or behind it, or if the input fits between
// two taps.
Status WantNonemptyWindows(const Window& window, std::span<const int64_t> input) {
  WSI_ASSIGN_OR_RETURN(const std::vector<int64_t> windows, WindowOutput(window, input));
  for (size_t i = 0; i < input.size(); ++i) {
    const int64_t extent = Extent(window, i);
    const bool reaches = window.begins[i] < extent && window.ends[i] < extent;
    if (reaches && !PassesOver(window, i, input[i], windows[i])) continue;
    return InvalidInput(
        fmt::format("pads {} and {} of spatial axis {} can leave windows of kernel {}, dilation {} "
                    "that hold only "
                    "padding",
                    window.begins[i], window.ends[i], i, window.kernel[i], window.dilations[i]));
  }
  return {};
}

}  // namespace wsi
