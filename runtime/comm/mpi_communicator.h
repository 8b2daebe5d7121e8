// The MPI implementation of Communicator. Private to runtime/comm.
#pragma once

#include "runtime/comm/communicator.h"

namespace wsi {

// Starts MPI. REQUIRES: not called before in this process, and a launcher started it.
Result<std::unique_ptr<Communicator>> ConnectMpi(const CommunicatorOptions& options);

}  // namespace wsi
