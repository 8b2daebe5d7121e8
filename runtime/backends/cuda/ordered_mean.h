// Sums over ranks in the order of ranks.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "runtime/base/dtype.h"
#include "runtime/base/status.h"

namespace wsi::cuda {

// mean[i] = (((0 + parts[0][i]) + parts[1][i]) + ...) * (1 / ranks), all of `dtype`, f32 or
// f64. `parts` is [ranks, count].
Status OrderedMean(DType dtype, const void* parts, void* mean, int64_t count, int ranks,
                   cudaStream_t stream);

}  // namespace wsi::cuda
