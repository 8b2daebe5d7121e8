// How CUDA convolutions and their gradients are cut into those that libraries and kernels are
// given, and where what they keep lies in the workspace. Channels last.
#pragma once

#include <vector>

#include "runtime/backends/row_slabs.h"
#include "runtime/backends/window.h"
#include "runtime/base/dtype.h"
#include "runtime/workspace/workspace.h"

namespace wsi::cuda {

enum class ConvolutionKind { kForward, kInputGrad, kWeightGrad };

// The convolution whose x, w and y or gradients the launch has.
struct Convolution {
  Window window;
  size_t first_axis = 1;  // Of the window's three, where rows are.
  int64_t groups = 1;
  DType dtype = DType::kF32;
  bool widened = false;  // x and dy of a weight gradient are copied to fp32.

  RowAxis rows() const;
  int64_t InputRow() const;  // Elements.
  int64_t OutputRow() const;
  int64_t WeightElements() const {
    return window.out_channels * window.KernelPositions() * (window.in_channels / groups);
  }
};

// Reads the attributes; `x`, `w` and `y` are those of the forward convolution.
Convolution ReadConvolution(wsi::LaunchCheck& check, const Shape& x, const Shape& w,
                            const Shape& y);

// Who computes it.
enum class ConvolutionPath {
  kDepthwise,   // depthwise.cu, depthwise_weight_grad.cu
  kFolded,      // folded_convolution.cc
  kWeightGrad,  // weight_grad.cu
  kLibrary,     // cuDNN
};
// `hopper`: whether the device has Hopper's tensor cores.
ConvolutionPath PathOf(const Convolution& c, ConvolutionKind kind, bool hopper);

// A slab and the images that it is of.
struct Part {
  RowSlab rows;
  int64_t image = 0;
  int64_t images = 1;
};

// Slabs of rows, none of more than 2^31 bytes; of weight gradients none of more than half a
// million positions.
std::vector<Part> Cut(const Convolution& c, ConvolutionKind kind);

// What a library may take for one of the parts by its operands, unless `options` says.
Bytes LibraryBytes(const Convolution& c, const Part& part, const WorkspaceOptions& options);

// The workspace of cuDNN's convolutions: a part's weight gradient, copies of x and dy in
// fp32, and behind them all that is left for the library.
struct LibraryLayout {
  std::vector<Part> parts;
  Bytes x = 0;
  Bytes y = 0;
  Bytes library = 0;
};
LibraryLayout LayOutLibrary(const Convolution& c, ConvolutionKind kind);

// Few channels and strides, folded: stride x stride neighbouring inputs become the channels of
// one (folding.h).
struct Folding {
  Window from;    // Of two axes, the window's last.
  Window to;      // Stride 1.
  Index3 offset;  // What tap 0 of `from` is in tap 0 of `to`.
};
// REQUIRES: no dilation.
Folding FoldingOf(const Window& window);

// The workspace of folded convolutions: the folded weight or its gradient, a slab's folded
// input, and behind them what the library or weight_grad.cu takes.
struct FoldedLayout {
  Folding folding;
  Convolution folded;
  std::vector<Part> parts;
  Bytes x = 0;
  Bytes rest = 0;
  // A part as a convolution of its own.
  Window WindowOf(const Part& part) const;
};
FoldedLayout LayOutFolded(const Convolution& c);

// The workspace of the launch.
Bytes ConvolutionBytes(const Convolution& c, ConvolutionKind kind, const WorkspaceOptions& options);

}  // namespace wsi::cuda
