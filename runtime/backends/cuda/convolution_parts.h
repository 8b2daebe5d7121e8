// A part of a convolution as what cuDNN is given.
#pragma once

#include "runtime/backends/cuda/convolution_plan.h"
#include "runtime/workspace/cuda_convolution.h"

namespace wsi::cuda {

// `result`: of what is computed. `workspace`: what its engine may take.
ConvolutionProblem ProblemOf(const Convolution& c, const Part& part, ConvolutionKind kind,
                             DType result, bool bias, Bytes workspace);

}  // namespace wsi::cuda
