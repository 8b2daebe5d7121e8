// Commands that several ranks run together.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "runtime/base/status.h"
#include "runtime/comm/communicator.h"

namespace CLI {
class App;
}

namespace wsi {

struct RankArguments {
  int ranks = 0;                 // To start on this machine; 0: none, this process is one already.
  double timeout_seconds = 300;  // Of whatever ranks do together.
  bool oversubscribe = false;    // Ranks may share a GPU.
  std::string bind = "auto";     // Ranks to cores and memory: auto or none.
  std::string comm = "mpi";      // By what means over ranks go: auto, nccl or mpi.

  std::chrono::milliseconds timeout() const {
    return std::chrono::duration_cast<std::chrono::milliseconds>(
        std::chrono::duration<double>(timeout_seconds));
  }
};
// Adds --nproc, --comm-timeout, --oversubscribe and --bind. `arguments` outlives parsing.
void AddRankOptions(CLI::App& command, RankArguments* arguments);
// Adds --comm, for commands that take means over ranks.
void AddCommOption(CLI::App& command, RankArguments* arguments);

// Runs `body` on this rank, or starts ranks that do, and returns the exit code. An error that
// all ranks share is told once, by rank 0; one of the communicator ends every rank with 7.
int RunOnRanks(std::string_view command, const RankArguments& arguments,
               const std::function<Status(Communicator&)>& body);

// Compute threads of a rank where none are asked for: its share of the cores. 0: all that
// this process may use.
int ThreadsOfRank(const Communicator& communicator);

// This machine's, for people and to tell machines apart.
std::string HostName();

}  // namespace wsi
