// The backend that runs plans on the processor's cores.
#pragma once

#include <memory>

#include "runtime/backends/backend.h"

namespace wsi {

struct CpuOptions {
  int threads = 0;  // Of a kernel, the caller's included; 0: the cores we may run on.
};

// Kernels run in the thread that launches them, with the help of the pool, so the
// compute lane is never behind its caller; other lanes are threads of their own.
// Lanes and kernels must not outlive the backend.
std::unique_ptr<Backend> MakeCpuBackend(const CpuOptions& options);

}  // namespace wsi
