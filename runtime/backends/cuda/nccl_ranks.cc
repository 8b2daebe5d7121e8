#include <cstring>

#include "runtime/backends/cuda/cuda_ranks.h"
#include "runtime/backends/cuda/nccl_mean.h"

namespace wsi {
namespace {

class NcclRanks final : public CudaRanks {
 public:
  NcclRanks(cuda::NcclLibrary library, const CudaRanksOptions& options)
      : communicator_(std::move(library), options) {}

  Result<std::string> MakeId() override {
    ncclUniqueId id{};
    WSI_RETURN_IF_ERROR(
        communicator_.Settle(communicator_.api().ncclGetUniqueId(&id), "ncclGetUniqueId"));
    return std::string(std::begin(id.internal), std::end(id.internal));
  }

  Status Connect(std::string_view id) override {
    ncclUniqueId unique{};
    if (id.size() != sizeof(unique.internal)) return InternalError("no id of NCCL's");
    std::memcpy(unique.internal, id.data(), id.size());
    return communicator_.Connect(unique);
  }

  CUstream_st* stream() override { return communicator_.stream(); }
  Result<std::unique_ptr<Kernel>> CompileMean(const LaunchSpec& launch) override {
    return cuda::CompileNcclMean(launch, communicator_);
  }
  Status Wait(CUstream_st* stream) override { return communicator_.Wait(stream); }
  Bytes private_bytes() const override { return communicator_.scratch().bytes(); }

 private:
  cuda::NcclCommunicator communicator_;
};

}  // namespace

Result<std::unique_ptr<CudaRanks>> MakeCudaRanks(const CudaRanksOptions& options) {
  WSI_ASSIGN_OR_RETURN(cuda::NcclLibrary library, cuda::NcclLibrary::Open());
  WSI_RETURN_IF_ERROR(library.CheckVersion());
  return std::unique_ptr<CudaRanks>(std::make_unique<NcclRanks>(std::move(library), options));
}

Result<std::string> ExamineNccl() {
  WSI_ASSIGN_OR_RETURN(const cuda::NcclLibrary library, cuda::NcclLibrary::Open());
  WSI_RETURN_IF_ERROR(library.CheckVersion());
  return "NCCL " + library.version();
}

}  // namespace wsi
