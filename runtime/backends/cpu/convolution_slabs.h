// How a convolution is cut into slabs of rows (DESIGN: with channels last, the rows
// [a, b) of an image are contiguous, and a slab convolution differs from the whole
// only in its own leading and trailing padding). The cut depends on shapes alone.
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/backends/cpu/window.h"
#include "runtime/backends/row_slabs.h"
#include "runtime/base/dtype.h"

namespace wsi::cpu {

enum class ConvolutionKind { kForward, kInputGrad, kWeightGrad };

// A convolution over channels-last tensors; `window` holds its last `spatial` axes.
struct Convolution {
  Window window;  // channels: of the input.
  int spatial = 2;
  int64_t output_channels = 0;
  int64_t groups = 1;
  // Of x, w and y and their gradients, but that of w is fp32 always.
  DType stored = DType::kF32;
  // What the products are made of: fp32 where the processor has none of `stored`. Slabs
  // are converted then, one by one.
  DType computed = DType::kF32;

  bool IsConverted() const { return stored != computed; }
  const WindowAxis& axis(int i) const {
    return window.axes[size_t{3} - static_cast<size_t>(spatial) + static_cast<size_t>(i)];
  }
  const WindowAxis& rows() const { return axis(0); }
  int64_t input_row_elements() const;
  int64_t output_row_elements() const;
  int64_t output_row_positions() const;
  int64_t weight_elements() const;
  // One tap, stride 1, no padding, one group: a matrix product over all positions.
  bool IsPointwise() const;
};

// Rows of x or dx and of y or dy, of `images` images from `first_image` on.
struct Slab : RowSlab {
  int64_t first_image = 0;
  int64_t images = 1;
};

// Whether each slab is first copied into blocks of 16 channels: oneDNN's fp32 weight
// gradients of strided windows are up to twice as fast there, copies included.
bool WantsBlocks(const Convolution& convolution, ConvolutionKind kind);

std::vector<Slab> CutConvolution(const Convolution& convolution, ConvolutionKind kind);

}  // namespace wsi::cpu
