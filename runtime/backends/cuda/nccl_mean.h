// Means over ranks as kernels. Private to nccl_ranks.cc.
#pragma once

#include "runtime/backends/cuda/nccl_communicator.h"
#include "runtime/backends/function_kernel.h"

namespace wsi::cuda {

// "AllReduce" {by_ranks} of values of one type, f32 or f64. Borrows the communicator.
//
// With by_ranks each rank adds up one slice, as on the CPU (comm/mpi_communicator.cc), of at
// most 4 Mi elements at a time:
//
//            slice 0  slice 1               slice 0  slice 1
//   rank 0   a0       a1        send >      a0 + b0             all-gather >  both, on both
//   rank 1   b0       b1                             a1 + b1
KernelResult CompileNcclMean(const LaunchSpec& launch, NcclCommunicator& ranks);

}  // namespace wsi::cuda
