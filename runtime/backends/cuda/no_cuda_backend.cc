// What stands in for the backend in builds without CUDA.
#include "runtime/backends/cuda/cuda_backend.h"

namespace wsi {
namespace {

constexpr const char* kReason =
    "this build has no CUDA backend: nvcc or cuDNN's headers were not there when it was "
    "configured (-DWSI_CUDA=ON says which)";

}  // namespace

Result<std::unique_ptr<Backend>> MakeCudaBackend(const CudaOptions&) {
  return DeviceError(std::string(kReason) + "; compile the plan with --device cpu");
}

Result<CudaDevice> ChooseCudaDevice(int) {
  return DeviceError("device cuda: " + std::string(kReason) +
                     "; compile the plan with --device cpu");
}

std::vector<CudaDevice> ListCudaDevices() { return {}; }

CudaReport ExamineCuda() { return {.missing = {kReason}, .nccl = {}, .device = {}, .devices = 0}; }

std::string DefaultCudaCacheFolder() { return {}; }

}  // namespace wsi
