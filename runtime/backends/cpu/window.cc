#include "runtime/backends/cpu/window.h"

#include <vector>

namespace wsi::cpu {
namespace {

constexpr int64_t kMost = int64_t{1} << 31;  // Bound of attributes, so that products fit.

bool InRange(const std::vector<int64_t>& values, size_t count, int64_t lowest) {
  if (values.size() != count) return false;
  for (const int64_t v : values) {
    if (v < lowest || v >= kMost) return false;
  }
  return true;
}

}  // namespace

Result<Window> Window::Make(const LaunchSpec& launch, const Shape& x, const Shape& y) {
  if (x.rank() < 3 || x.rank() > 5 || y.rank() != x.rank() || x.ElementCount() == 0 ||
      y.ElementCount() == 0) {
    return CompileError(launch, "wants non-empty tensors with 1 to 3 spatial axes");
  }
  const size_t spatial = static_cast<size_t>(x.rank() - 2);
  const std::vector<int64_t> ones(spatial, 1);
  const auto kernel = launch.attributes.Ints("kernel_shape");
  const auto strides = launch.attributes.Ints("strides", ones);
  const auto dilations = launch.attributes.Ints("dilations", ones);
  const auto pads = launch.attributes.Ints("pads", std::vector<int64_t>(2 * spatial, 0));
  if (!InRange(kernel, spatial, 1) || !InRange(strides, spatial, 1) ||
      !InRange(dilations, spatial, 1) || !InRange(pads, 2 * spatial, 0)) {
    return CompileError(launch, "kernel_shape, strides, dilations or pads do not fit the input");
  }
  Window window;
  window.batch = x[0];
  window.channels = x[-1];
  if (y[0] != x[0]) return CompileError(launch, "batch sizes differ");
  for (size_t i = 0; i < spatial; ++i) {
    const int axis = static_cast<int>(i) + 1;
    const WindowAxis a = {.input = x[axis],
                          .output = y[axis],
                          .kernel = kernel[i],
                          .stride = strides[i],
                          .dilation = dilations[i],
                          .pad_begin = pads[i],
                          .pad_end = pads[spatial + i]};
    if (a.input >= kMost || a.output >= kMost ||
        (a.output - 1) * a.stride >= a.input + a.pad_begin + a.pad_end) {
      return CompileError(launch, "output " + y.ToString() + " does not fit input " + x.ToString());
    }
    window.axes[3 - spatial + i] = a;
  }
  return window;
}

}  // namespace wsi::cpu
