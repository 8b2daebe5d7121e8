// Pixels that the device fetches from the host, as numbers.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>
#include <span>

#include "runtime/base/dtype.h"
#include "runtime/base/status.h"

namespace wsi::cuda {

// Backend::WritePixels, enqueued: a kernel reads the pinned bytes across the link, once.
Status FetchPixels(std::span<const uint8_t> rgb, DType dtype, std::byte* device,
                   cudaStream_t stream);

}  // namespace wsi::cuda
