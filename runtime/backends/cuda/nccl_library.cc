#include "runtime/backends/cuda/nccl_library.h"

#include <fmt/format.h>

namespace wsi::cuda {
namespace {

// Whose communicators do not block, and may be finalized and aborted meanwhile.
constexpr int kOldest = NCCL_VERSION(2, 18, 0);

}  // namespace

Result<NcclLibrary> NcclLibrary::Open() {
  WSI_ASSIGN_OR_RETURN(Library library,
                       Library::Open("libnccl.so.2", "NCCL (the Python package nvidia-nccl-cu13)"));
  NcclLibrary result{.library = std::move(library)};
#define WSI_FIND(function) \
  WSI_RETURN_IF_ERROR(result.library.Find(#function, reinterpret_cast<void**>(&result.function)));
  WSI_NCCL_FUNCTIONS(WSI_FIND)
#undef WSI_FIND
  return result;
}

Status NcclLibrary::CheckVersion() const {
  int code = 0;
  if (ncclGetVersion(&code) == ncclSuccess && code >= kOldest) return {};
  return DeviceError(fmt::format(
      "libnccl.so.2 is NCCL {}, wanted 2.18 or newer; install another or take means over ranks "
      "through the host with --comm mpi",
      version()));
}

std::string NcclLibrary::version() const {
  int code = 0;
  if (ncclGetVersion(&code) != ncclSuccess) return "of unknown version";
  return fmt::format("{}.{}.{}", code / 10000, code % 10000 / 100, code % 100);
}

}  // namespace wsi::cuda
