// Arenas on the device, in pinned host memory and in managed memory.
#pragma once

#include <memory>
#include <string_view>

#include "runtime/backends/backend.h"
#include "runtime/backends/cuda/cuda_status.h"

namespace wsi::cuda {

// For cudaFree. kResources naming what is needed and free, of the device's total, where
// the memory cannot be had; `what` begins the message.
Result<std::byte*> AllocateDeviceBytes(std::string_view what, Bytes bytes);

// Exactly `bytes` of device memory.
Result<std::unique_ptr<Arena>> MakeDeviceArena(Bytes bytes);

// Host memory in huge pages, pinned once as a whole, so that copies run beside kernels.
// `*reserved` as in MapArena.
Result<std::unique_ptr<Arena>> MakePinnedArena(Bytes bytes, Bytes* reserved);

// Managed memory whose pages stay on the device unless they are moved. kDevice where the
// device cannot use it while the host does.
Result<std::unique_ptr<Arena>> MakeManagedArena(Bytes bytes);
// Moves the pages of managed memory, behind what the stream does before.
Status MigratePages(std::byte* memory, Bytes bytes, bool to_device, cudaStream_t stream);

}  // namespace wsi::cuda
