// Kernels compiled from text at load by NVRTC, each text once: kept in memory and, as
// machine code, in a folder between runs.
#pragma once

#include <cuda_runtime_api.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runtime/backends/cuda/libraries.h"
#include "runtime/base/checked.h"

namespace wsi::cuda {

class ProgramCache {
 public:
  // `folder`: empty for none.
  explicit ProgramCache(std::string folder) : folder_(std::move(folder)) {}

  // The function `name`, which is extern "C", of `source`, for this device.
  Result<cudaKernel_t> Get(const std::string& source, const char* name);
  Bytes code_bytes() const { return code_bytes_; }

 private:
  struct Unload {
    void operator()(cudaLibrary_t library) const { cudaLibraryUnload(library); }
  };
  using LoadedCode = std::unique_ptr<std::remove_pointer_t<cudaLibrary_t>, Unload>;

  Result<std::string> Compile(const std::string& source, const std::string& architecture);
  Result<std::string> Code(const std::string& source);

  std::string folder_;
  std::optional<NvrtcLibrary> nvrtc_;         // Opened when first needed.
  std::map<std::string, LoadedCode> loaded_;  // By source.
  Bytes code_bytes_ = 0;
};

}  // namespace wsi::cuda
