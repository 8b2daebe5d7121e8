#include "runtime/comm/communicator.h"

#include <cstdlib>

#include "runtime/comm/mpi_communicator.h"

namespace wsi {
namespace {

class SingleRank final : public Communicator {
 public:
  int rank() const override { return 0; }
  int size() const override { return 1; }
  int local_size() const override { return 1; }
  int local_rank() const override { return 0; }
  Status Mean(std::span<float>, SumOrder) override { return {}; }
  Status Mean(std::span<double>, SumOrder) override { return {}; }
  Status Max(std::span<int64_t>) override { return {}; }
  Status Broadcast(std::span<std::byte>, int) override { return {}; }
  Result<std::vector<std::string>> Gather(std::string_view bytes) override {
    return std::vector<std::string>{std::string(bytes)};
  }
  PeerFailure failure() const override { return {}; }
  void Announce(const PeerFailure&) override {}
  void Interrupt(int) override {}
  Status CheckPeers(std::string_view) override { return {}; }
  Status GiveUp(std::string_view operation) override {
    return {ErrorCode::kPeer, std::string(operation) + ": timed out"};
  }
  [[noreturn]] void Abort(int exit_code) override { std::_Exit(exit_code); }
};

}  // namespace

std::unique_ptr<Communicator> MakeSingleRank() { return std::make_unique<SingleRank>(); }

int LaunchedRanks() {
  // Of Open MPI's mpirun; of MPICH's and of srun --mpi=pmi2; of others that speak PMIx, under
  // Slurm.
  for (const char* name : {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE"}) {
    if (const char* text = std::getenv(name)) return std::atoi(text);
  }
  const char* slurm = std::getenv("SLURM_STEP_NUM_TASKS");
  return std::getenv("PMIX_RANK") != nullptr && slurm != nullptr ? std::atoi(slurm) : 0;
}

Result<std::unique_ptr<Communicator>> Connect(const CommunicatorOptions& options) {
  if (LaunchedRanks() < 2) return MakeSingleRank();
  return ConnectMpi(options);
}

}  // namespace wsi
