// Operation graphs of convolutions.
#pragma once

#include "runtime/backends/cuda/convolution_plan.h"

namespace wsi::cuda {

// What tensors are called in graphs and variant packs.
enum ConvolutionUid : int64_t { kUidX = 1, kUidW = 2, kUidY = 3, kUidBias = 4, kUidInner = 5 };

Result<CudnnDescriptor> MakeConvolutionGraph(const CudnnLibrary& library, cudnnHandle_t handle,
                                             const ConvolutionProblem& problem);

}  // namespace wsi::cuda
