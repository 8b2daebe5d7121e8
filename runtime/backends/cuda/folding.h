// Convolutions of few channels and large strides as ones of stride 1 with more channels:
// stride x stride neighbouring inputs become the channels of one. Tensor cores want channels.
//   folded[u, v, (a, b, c)] = x[stride u + a, stride v + b, c],   0 outside and in the padding
//   of channels to a multiple of 8
#pragma once

#include <cuda_runtime_api.h>

#include "runtime/base/dtype.h"
#include "runtime/base/status.h"
#include "runtime/workspace/cuda_convolution.h"

namespace wsi::cuda {

// The rows from `first_row` on of one image's folded input; 2-byte elements. `to` is aligned
// to 16.
Status FoldInput(const Folding& folding, const void* image, int64_t first_row, int64_t rows,
                 void* to, cudaStream_t stream);
// [O, kernel of `from`, channels of `from`] to those of `to`; 2-byte elements.
Status FoldWeight(const Folding& folding, const void* weight, void* to, cudaStream_t stream);
// Back, in fp32; added to what `weight` has or written there.
Status UnfoldWeight(const Folding& folding, const float* folded, bool add, float* weight,
                    cudaStream_t stream);

}  // namespace wsi::cuda
