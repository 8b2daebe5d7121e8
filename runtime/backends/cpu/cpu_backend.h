// The backend that runs plans on the processor's cores.
#pragma once

#include <memory>

#include "runtime/backends/backend.h"

namespace wsi {

struct CpuOptions {
  int threads = 0;  // Of a kernel, the caller's included; 0: the cores we may run on.
};

// Every lane is a thread; the compute lane's works on kernels together with the pool's.
// Lanes, kernels and arenas must not outlive the backend.
std::unique_ptr<Backend> MakeCpuBackend(const CpuOptions& options);

}  // namespace wsi
