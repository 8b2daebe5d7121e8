#include "runtime/backends/cuda/libraries.h"

#include <cuda_runtime_api.h>
#include <dlfcn.h>
#include <fmt/format.h>

namespace wsi::cuda {

void Library::Close::operator()(void* handle) const { dlclose(handle); }

Result<Library> Library::Open(const std::string& file, const std::string& package) {
  // They stay when they are closed: cuBLASLt registers thousands of functions to call at exit,
  // and for each of them, the second time, the C library walks past all those of the first.
  void* handle = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (handle != nullptr) return Library(file, handle);
  const char* reason = dlerror();
  return DeviceError(
      fmt::format("{} is missing ({}); install {} or put its folder on "
                  "LD_LIBRARY_PATH",
                  file, reason == nullptr ? "no reason given" : reason, package));
}

Status Library::Find(const char* function, void** address) const {
  *address = dlsym(handle_.get(), function);
  if (*address != nullptr) return {};
  return DeviceError(fmt::format("{} has no function {}; it is too old", file_, function));
}

#define WSI_FIND(function) \
  WSI_RETURN_IF_ERROR(result.library.Find(#function, reinterpret_cast<void**>(&result.function)));

Result<CudnnLibrary> CudnnLibrary::Open() {
  WSI_ASSIGN_OR_RETURN(Library library, Library::Open("libcudnn.so.9", "cuDNN 9"));
  CudnnLibrary result{.library = std::move(library)};
  WSI_CUDNN_FUNCTIONS(WSI_FIND)
  return result;
}

Result<CublasLtLibrary> CublasLtLibrary::Open() {
  const std::string file = fmt::format("libcublasLt.so.{}", CUBLAS_VER_MAJOR);
  WSI_ASSIGN_OR_RETURN(Library library, Library::Open(file, "cuBLAS"));
  CublasLtLibrary result{.library = std::move(library)};
  WSI_CUBLASLT_FUNCTIONS(WSI_FIND)
  return result;
}

Result<NvrtcLibrary> NvrtcLibrary::Open() {
  const std::string file = fmt::format("libnvrtc.so.{}", CUDART_VERSION / 1000);
  WSI_ASSIGN_OR_RETURN(Library library, Library::Open(file, "CUDA's NVRTC"));
  NvrtcLibrary result{.library = std::move(library)};
  WSI_NVRTC_FUNCTIONS(WSI_FIND)
  return result;
}

}  // namespace wsi::cuda
