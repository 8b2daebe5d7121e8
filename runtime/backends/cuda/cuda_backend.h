// The CUDA backend: NVIDIA GPUs through the CUDA runtime, cuDNN's graph API, cuBLASLt and
// NVRTC. cuDNN, cuBLASLt and NVRTC are opened when the backend is made, so that programs
// start on machines without them.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "runtime/backends/backend.h"
#include "runtime/backends/cuda/cuda_ranks.h"

namespace wsi {

struct CudaOptions {
  int device = 0;
  // Where compiled pointwise programs and choices of cuDNN's engines are kept between
  // runs; empty: nowhere.
  std::string cache_folder = {};
  // Gets a line where something is wrong that costs time only; may be empty.
  std::function<void(const std::string& line)> log = {};
  // Connected; outlives the backend. Null: one rank, or means over ranks are not the backend's.
  CudaRanks* ranks = nullptr;
};

// kDevice, naming what is missing, on a machine or in a build without CUDA.
Result<std::unique_ptr<Backend>> MakeCudaBackend(const CudaOptions& options);

struct CudaDevice {
  int number = 0;
  std::string id;    // The same in all processes, and no other device's.
  std::string name;  // "NVIDIA H100 80GB HBM3"
  std::string pci;   // "0000:3b:00.0"
};
// Those that CUDA_VISIBLE_DEVICES shows, by number; none where something is missing.
std::vector<CudaDevice> ListCudaDevices();
// The device of process `local_rank` of this machine's: processes take turns with the devices
// that CUDA_VISIBLE_DEVICES shows. kDevice, naming what is missing, where there is none.
Result<CudaDevice> ChooseCudaDevice(int local_rank);

struct CudaReport {
  // Why there can be no backend, one line each: build, driver, device, libraries.
  std::vector<std::string> missing;
  std::string nccl;    // "NCCL 2.28.9", or what is missing for it; single ranks need none.
  std::string device;  // The first: "NVIDIA H100 80GB HBM3, 79.1 GiB, compute capability 9.0"
  int devices = 0;     // How many the driver shows.
};
CudaReport ExamineCuda();

// $WSI_CACHE, or else the user's cache folder; empty where there is neither.
std::string DefaultCudaCacheFolder();

}  // namespace wsi
