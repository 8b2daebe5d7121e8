// NCCL, opened at run time: a table of the functions that the backend uses.
#pragma once

#include <nccl.h>

#include <string>

#include "runtime/backends/cuda/libraries.h"

namespace wsi::cuda {

#define WSI_NCCL_FUNCTIONS(X) \
  X(ncclGetVersion)           \
  X(ncclGetUniqueId)          \
  X(ncclGetErrorString)       \
  X(ncclGetLastError)         \
  X(ncclCommInitRankConfig)   \
  X(ncclCommGetAsyncError)    \
  X(ncclCommFinalize)         \
  X(ncclCommDestroy)          \
  X(ncclCommAbort)            \
  X(ncclGroupStart)           \
  X(ncclGroupEnd)             \
  X(ncclAllReduce)            \
  X(ncclAllGather)            \
  X(ncclSend)                 \
  X(ncclRecv)

#define WSI_MEMBER(function) decltype(&::function) function = nullptr;
struct NcclLibrary {
  Library library;
  WSI_NCCL_FUNCTIONS(WSI_MEMBER)
  // kDevice where the library is missing.
  static Result<NcclLibrary> Open();
  // kDevice where it is too old for calls that do not block.
  Status CheckVersion() const;
  std::string version() const;  // "2.28.9"
};
#undef WSI_MEMBER

}  // namespace wsi::cuda
