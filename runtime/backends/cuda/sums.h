// Sums of tensors, for code outside of .cu files.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "runtime/base/status.h"

namespace wsi::cuda {

// total[i] += term[i]
Status AddTo(float* total, const float* term, int64_t count, cudaStream_t stream);

}  // namespace wsi::cuda
