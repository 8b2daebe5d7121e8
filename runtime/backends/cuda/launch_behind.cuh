// Launches that begin while what is before them in the stream ends: what a launch costs by itself
// is done by then. Hopper and later.
#pragma once

#include <cuda_runtime.h>

namespace wsi::cuda {

// In a kernel: the launch behind it may begin, where it was made by LaunchBehind. It gets what
// room the blocks leave; what it waits for it waits for all the same.
__device__ inline void LetNextBegin() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

// In a kernel of LaunchBehind: returns when the launches before it are done and what they wrote
// can be read.
__device__ inline void WaitForLaunchBefore() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

// kernel<<<grid, block, 0, stream>>>(arguments...). What is captured for a graph waits as any
// launch does: graphs leave little between launches.
// REQUIRES: the kernel calls WaitForLaunchBefore ahead of anything that reaches memory.
template <typename... Parameters, typename... Arguments>
void LaunchBehind(void (*kernel)(Parameters...), dim3 grid, dim3 block, cudaStream_t stream,
                  const Arguments&... arguments) {
  cudaLaunchAttribute overlaps{};
  overlaps.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  overlaps.val.programmaticStreamSerializationAllowed = 1;
  cudaLaunchConfig_t launch{};
  launch.gridDim = grid;
  launch.blockDim = block;
  launch.stream = stream;
  launch.attrs = &overlaps;
  cudaStreamCaptureStatus capture = cudaStreamCaptureStatusNone;
  const bool is_known = cudaStreamIsCapturing(stream, &capture) == cudaSuccess;
  launch.numAttrs = is_known && capture == cudaStreamCaptureStatusNone ? 1 : 0;
  // Its error is what cudaGetLastError says next.
  static_cast<void>(cudaLaunchKernelEx(&launch, kernel, Parameters(arguments)...));
}

}  // namespace wsi::cuda
