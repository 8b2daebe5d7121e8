// cuDNN, cuBLASLt and NVRTC, opened at run time: tables of the functions that the backend
// uses, each under its own name.
#pragma once

#include <cublasLt.h>
#include <cudnn.h>
#include <nvrtc.h>

#include <memory>
#include <string>

#include "runtime/base/status.h"

namespace wsi::cuda {

// A shared library; closed with the object.
class Library {
 public:
  // kDevice naming the file and what to do where it cannot be opened.
  static Result<Library> Open(const std::string& file, const std::string& package);
  // kDevice naming the function where the library has none of that name.
  Status Find(const char* function, void** address) const;

 private:
  struct Close {
    void operator()(void* handle) const;
  };
  Library(std::string file, void* handle) : file_(std::move(file)), handle_(handle) {}

  std::string file_;
  std::unique_ptr<void, Close> handle_;
};

#define WSI_CUDNN_FUNCTIONS(X)     \
  X(cudnnCreate)                   \
  X(cudnnDestroy)                  \
  X(cudnnSetStream)                \
  X(cudnnGetVersion)               \
  X(cudnnGetErrorString)           \
  X(cudnnGetLastErrorString)       \
  X(cudnnBackendCreateDescriptor)  \
  X(cudnnBackendDestroyDescriptor) \
  X(cudnnBackendSetAttribute)      \
  X(cudnnBackendGetAttribute)      \
  X(cudnnBackendFinalize)          \
  X(cudnnBackendExecute)

#define WSI_CUBLASLT_FUNCTIONS(X)         \
  X(cublasLtCreate)                       \
  X(cublasLtDestroy)                      \
  X(cublasLtMatmul)                       \
  X(cublasLtMatmulAlgoGetHeuristic)       \
  X(cublasLtMatmulDescCreate)             \
  X(cublasLtMatmulDescDestroy)            \
  X(cublasLtMatmulDescSetAttribute)       \
  X(cublasLtMatmulPreferenceCreate)       \
  X(cublasLtMatmulPreferenceDestroy)      \
  X(cublasLtMatmulPreferenceSetAttribute) \
  X(cublasLtMatrixLayoutCreate)           \
  X(cublasLtMatrixLayoutDestroy)          \
  X(cublasLtMatrixLayoutSetAttribute)

#define WSI_NVRTC_FUNCTIONS(X) \
  X(nvrtcVersion)              \
  X(nvrtcGetErrorString)       \
  X(nvrtcCreateProgram)        \
  X(nvrtcDestroyProgram)       \
  X(nvrtcCompileProgram)       \
  X(nvrtcGetProgramLogSize)    \
  X(nvrtcGetProgramLog)        \
  X(nvrtcGetCUBINSize)         \
  X(nvrtcGetCUBIN)

#define WSI_MEMBER(function) decltype(&::function) function = nullptr;
struct CudnnLibrary {
  Library library;
  WSI_CUDNN_FUNCTIONS(WSI_MEMBER)
  static Result<CudnnLibrary> Open();
};
struct CublasLtLibrary {
  Library library;
  WSI_CUBLASLT_FUNCTIONS(WSI_MEMBER)
  static Result<CublasLtLibrary> Open();
};
struct NvrtcLibrary {
  Library library;
  WSI_NVRTC_FUNCTIONS(WSI_MEMBER)
  static Result<NvrtcLibrary> Open();
};
#undef WSI_MEMBER

}  // namespace wsi::cuda
