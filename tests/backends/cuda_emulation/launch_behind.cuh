// Launches that begin as others end, where launches run one after the other.
#pragma once

#include "tests/backends/cuda_emulation/emulation.h"

namespace wsi::cuda {

inline void LetNextBegin() {}
inline void WaitForLaunchBefore() {}

template <typename... Parameters, typename... Arguments>
void LaunchBehind(void (*kernel)(Parameters...), dim3 grid, dim3 block, cudaStream_t stream,
                  const Arguments&... arguments) {
  emulation::Launch(grid, block, stream, [&] { kernel(arguments...); });
}

}  // namespace wsi::cuda
