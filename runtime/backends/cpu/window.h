// The geometry of a pooling window over 1 to 3 spatial axes, widened to 3.
#pragma once

#include <array>
#include <cstdint>

#include "runtime/backends/cpu/compile.h"
#include "runtime/backends/row_slabs.h"

namespace wsi::cpu {

// Any spatial axis is as rows are.
using WindowAxis = RowAxis;

struct Window {
  int64_t batch = 1;
  int64_t channels = 1;
  std::array<WindowAxis, 3> axes;  // Outermost first; leading axes of size 1 are added.

  int64_t kernel_volume() const { return axes[0].kernel * axes[1].kernel * axes[2].kernel; }
  int64_t input_positions() const { return batch * axes[0].input * axes[1].input * axes[2].input; }
  int64_t output_positions() const {
    return batch * axes[0].output * axes[1].output * axes[2].output;
  }

  // From kernel_shape, strides, dilations and pads; x and y are channels-last. Every
  // output window has to start before the end of the input and its end padding.
  static Result<Window> Make(const LaunchSpec& launch, const Shape& x, const Shape& y);
};

}  // namespace wsi::cpu
