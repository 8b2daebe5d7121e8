// Stands in for NCCL in builds without it.
#include "runtime/backends/cuda/cuda_ranks.h"

namespace wsi {
namespace {

Status Missing() {
  return DeviceError(
      "this build has no NCCL: nccl.h was not there when it was configured (-DWSI_NCCL=ON says "
      "so); take means over ranks through the host with --comm mpi");
}

}  // namespace

Result<std::unique_ptr<CudaRanks>> MakeCudaRanks(const CudaRanksOptions&) { return Missing(); }

Result<std::string> ExamineNccl() { return Missing(); }

}  // namespace wsi
