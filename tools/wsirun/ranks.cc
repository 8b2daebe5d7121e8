#include "tools/wsirun/ranks.h"

#include <fmt/format.h>
#include <sched.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <span>
#include <thread>

#include "runtime/comm/agreement.h"
#include "tools/wsirun/launcher.h"
#include "tools/wsirun/report.h"
#include "tools/wsirun/version.h"

namespace wsi {

void AddRankOptions(CLI::App& command, RankArguments* arguments) {
  command.add_option("--nproc", arguments->ranks, "start so many ranks on this machine")
      ->check(CLI::PositiveNumber);
  command
      .add_option("--comm-timeout", arguments->timeout_seconds,
                  "seconds after which a rank gives up on the others")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command.add_flag("--oversubscribe", arguments->oversubscribe,
                   "let ranks share a GPU where there are more of them");
  command
      .add_option("--bind", arguments->bind,
                  "auto: ranks of a machine share its cores, and memory next to them, near their "
                  "GPUs, within what they are bound to already; none: they stay there")
      ->check(CLI::IsMember({"auto", "none"}))
      ->capture_default_str();
}

void AddCommOption(CLI::App& command, RankArguments* arguments) {
  arguments->comm = "auto";
  command
      .add_option(
          "--comm", arguments->comm,
          "how plans for cuda take means over ranks: nccl, mpi (through the host), or auto: "
          "nccl where every rank has a GPU of its own")
      ->check(CLI::IsMember({"auto", "nccl", "mpi"}))
      ->capture_default_str();
}

int RunOnRanks(std::string_view command, const RankArguments& arguments,
               const std::function<Status(Communicator&)>& body) {
  if (arguments.ranks > 1 && LaunchedRanks() == 0) {
    const Result<int> ended = RunLauncher(arguments.ranks);
    return ended.ok() ? *ended : Report(command, ended.status());
  }
  const Result<std::unique_ptr<Communicator>> connected = Connect({.timeout = arguments.timeout()});
  if (!connected.ok()) return Report(command, connected.status());
  Communicator& ranks = **connected;
  // What ranks do from here on, and in which order, is a matter of the version.
  const SharedFact version = {"another version of wsirun", std::string(Version())};
  Status status = CheckSame(ranks, std::span(&version, 1));
  if (status.ok()) status = body(ranks);
  if (status.code() == ErrorCode::kPeer && ranks.size() > 1) {
    const int code = Report(command, status.WithContext(fmt::format("rank {}", ranks.rank())));
    ranks.Abort(code);
  }
  return ranks.rank() == 0 ? Report(command, status) : ExitCode(status.code());
}

int ThreadsOfRank(const Communicator& communicator) {
  if (communicator.local_size() == 1) return 0;
  cpu_set_t cores;
  CPU_ZERO(&cores);
  if (sched_getaffinity(0, sizeof(cores), &cores) != 0) return 1;
  const int own = CPU_COUNT(&cores);
  // A launcher that binds ranks to cores has shared them out.
  const bool is_bound = own < static_cast<int>(std::thread::hardware_concurrency());
  return is_bound ? own : std::max(1, own / communicator.local_size());
}

std::string HostName() {
  std::array<char, 256> name{};
  return gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "this machine";
}

}  // namespace wsi
