// Copies of half-precision tensors in fp32, for libraries that compute nothing else right.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "runtime/base/dtype.h"
#include "runtime/base/status.h"

namespace wsi::cuda {

// `dtype`: of `from`, f16 or bf16. `to` is aligned to 32 bytes.
Status Widen(DType dtype, const void* from, int64_t count, float* to, cudaStream_t stream);

}  // namespace wsi::cuda
