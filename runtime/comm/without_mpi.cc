// Stands in for mpi_communicator.cc in builds without MPI.
#include <fmt/format.h>

#include "runtime/comm/mpi_communicator.h"

namespace wsi {

Result<std::unique_ptr<Communicator>> ConnectMpi(const CommunicatorOptions&) {
  return Status(ErrorCode::kPeer,
                fmt::format("started as one of {} ranks, but this wsirun was built without MPI; "
                            "configure it with -DWSI_MPI=ON",
                            LaunchedRanks()));
}

std::string_view LauncherName() { return {}; }

std::string DescribeMpi() { return "built without MPI: one rank only"; }

std::string_view SlurmMpiType() { return {}; }

}  // namespace wsi
