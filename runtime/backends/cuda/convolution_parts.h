// A convolution that a launch asks for, and how it is cut into those that cuDNN is given.
#pragma once

#include <vector>

#include "runtime/backends/cuda/convolution_plan.h"
#include "runtime/backends/row_slabs.h"
#include "runtime/backends/window.h"

namespace wsi::cuda {

// The convolution whose x, w and y or gradients the launch has.
struct Convolution {
  Window window;
  size_t first_axis = 1;  // Of the window's three, where rows are.
  int64_t groups = 1;
  DType dtype = DType::kF32;
  bool widened = false;  // x and dy of a weight gradient are copied to fp32.

  RowAxis rows() const {
    const size_t a = first_axis;
    return {.input = window.in[a],
            .output = window.out[a],
            .kernel = window.kernel[a],
            .stride = window.stride[a],
            .dilation = window.dilation[a],
            .pad_begin = window.pad_begin[a],
            .pad_end = window.pad_end[a]};
  }
  int64_t InputRow() const {  // Elements.
    return window.InPositions() / std::max<int64_t>(window.in[first_axis], 1) * window.in_channels;
  }
  int64_t OutputRow() const {
    return window.OutPositions() / std::max<int64_t>(window.out[first_axis], 1) *
           window.out_channels;
  }
  int64_t WeightElements() const {
    return window.out_channels * window.KernelPositions() * (window.in_channels / groups);
  }
};

// A slab and the images that it is of.
struct Part {
  RowSlab rows;
  int64_t image = 0;
  int64_t images = 1;
};

// Slabs of rows, none of more than 2^31 bytes; of weight gradients none of more than half a
// million positions.
std::vector<Part> Cut(const Convolution& c, ConvolutionKind kind);

// `result`: of what is computed.
ConvolutionProblem ProblemOf(const Convolution& c, const Part& part, ConvolutionKind kind,
                             DType result, bool bias);

}  // namespace wsi::cuda
