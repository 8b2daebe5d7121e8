#include "runtime/backends/cuda/program_cache.h"

#include <fmt/format.h>

#include <filesystem>

#include "runtime/backends/cuda/cuda_status.h"
#include "runtime/base/file.h"
#include "runtime/base/hash.h"

namespace wsi::cuda {
namespace {

constexpr int64_t kMaxCode = int64_t{16} << 20;

Result<std::string> Architecture() {
  int device = 0;
  int major = 0;
  int minor = 0;
  WSI_RETURN_IF_CUDA_ERROR(cudaGetDevice(&device));
  WSI_RETURN_IF_CUDA_ERROR(
      cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device));
  WSI_RETURN_IF_CUDA_ERROR(
      cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device));
  return fmt::format("sm_{}{}", major, minor);
}

// Destroys an NVRTC program at the end of its block.
class Program {
 public:
  Program(const NvrtcLibrary& nvrtc, const std::string& source) : nvrtc_(nvrtc) {
    error_ =
        nvrtc.nvrtcCreateProgram(&program_, source.c_str(), "pointwise.cu", 0, nullptr, nullptr);
  }
  ~Program() {
    if (error_ == NVRTC_SUCCESS) nvrtc_.nvrtcDestroyProgram(&program_);
  }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  Result<std::string> Compile(const std::string& architecture) {
    const std::string option = "--gpu-architecture=" + architecture;
    const char* const options[] = {option.c_str(), "--std=c++17"};
    nvrtcResult result = error_;
    if (result == NVRTC_SUCCESS) result = nvrtc_.nvrtcCompileProgram(program_, 2, options);
    size_t size = 0;
    if (result == NVRTC_SUCCESS) result = nvrtc_.nvrtcGetCUBINSize(program_, &size);
    std::string code(size, '\0');
    if (result == NVRTC_SUCCESS) result = nvrtc_.nvrtcGetCUBIN(program_, code.data());
    if (result == NVRTC_SUCCESS) return code;
    return InternalError(fmt::format("NVRTC: {}: {}", nvrtc_.nvrtcGetErrorString(result), Log()));
  }

 private:
  std::string Log() const {
    size_t size = 0;
    if (error_ != NVRTC_SUCCESS) return {};
    if (nvrtc_.nvrtcGetProgramLogSize(program_, &size) != NVRTC_SUCCESS) return {};
    std::string log(size, '\0');
    if (nvrtc_.nvrtcGetProgramLog(program_, log.data()) != NVRTC_SUCCESS) return {};
    return log;
  }

  const NvrtcLibrary& nvrtc_;
  nvrtcProgram program_ = nullptr;
  nvrtcResult error_ = NVRTC_SUCCESS;
};

}  // namespace

Result<std::string> ProgramCache::Compile(const std::string& source,
                                          const std::string& architecture) {
  if (!nvrtc_) {
    WSI_ASSIGN_OR_RETURN(nvrtc_, NvrtcLibrary::Open());
  }
  return Program(*nvrtc_, source).Compile(architecture);
}

// From the folder, or compiled and put there. A file that cannot be read or written costs
// time only.
Result<std::string> ProgramCache::Code(const std::string& source) {
  WSI_ASSIGN_OR_RETURN(const std::string architecture, Architecture());
  if (folder_.empty()) return Compile(source, architecture);
  const std::string key = fmt::format("{}\n{}\n{}", architecture, CUDART_VERSION, source);
  const std::string hash = HashBytes(std::as_bytes(std::span(key))).ToHex();
  const std::string path = fmt::format("{}/{}.cubin", folder_, hash);
  std::error_code error;
  if (std::filesystem::exists(path, error)) {
    Result<std::string> code = ReadFile(path, kMaxCode);
    if (code.ok() && !code->empty()) return code;
  }
  WSI_ASSIGN_OR_RETURN(std::string code, Compile(source, architecture));
  std::filesystem::create_directories(folder_, error);
  const Status written = WriteFile(path, code, {.force = true});
  static_cast<void>(written);
  return code;
}

Result<cudaKernel_t> ProgramCache::Get(const std::string& source, const char* name) {
  auto found = loaded_.find(source);
  if (found == loaded_.end()) {
    WSI_ASSIGN_OR_RETURN(const std::string code, Code(source));
    cudaLibrary_t library = nullptr;
    WSI_RETURN_IF_CUDA_ERROR(
        cudaLibraryLoadData(&library, code.data(), nullptr, nullptr, 0, nullptr, nullptr, 0));
    code_bytes_ += static_cast<Bytes>(code.size());
    found = loaded_.emplace(source, LoadedCode(library)).first;
  }
  cudaKernel_t kernel = nullptr;
  WSI_RETURN_IF_CUDA_ERROR(cudaLibraryGetKernel(&kernel, found->second.get(), name));
  return kernel;
}

}  // namespace wsi::cuda
