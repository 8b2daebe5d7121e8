// Ranks that this program starts itself: --nproc.
#pragma once

#include "runtime/base/status.h"

namespace wsi {

// Runs this command line without its --nproc as `ranks` ranks on this machine, by the launcher of
// the MPI that it was built with, and returns what that ends with. SIGTERM, SIGINT and SIGUSR1
// reach the ranks as SIGUSR1, for launchers kill what they run when they are told to end. REQUIRES:
// no other threads.
Result<int> RunLauncher(int ranks);

}  // namespace wsi
