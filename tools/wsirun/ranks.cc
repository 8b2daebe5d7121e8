#include "tools/wsirun/ranks.h"

#include <fmt/format.h>
#include <sched.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <thread>
#include <vector>

#include "tools/wsirun/report.h"

namespace wsi {
namespace {

// The words of this command line without --nproc and its number.
std::vector<std::string> OwnCommandLine() {
  std::ifstream file("/proc/self/cmdline", std::ios::binary);
  std::vector<std::string> words;
  for (std::string word; std::getline(file, word, '\0');) {
    if (word.starts_with("--nproc=")) continue;
    if (word == "--nproc") {
      std::getline(file, word, '\0');
      continue;
    }
    words.push_back(word);
  }
  return words;
}

// Becomes the launcher, which starts this program again; returns only where that fails.
Status Launch(int ranks) {
  const std::string launcher(LauncherName());
  if (launcher.empty()) {
    return {ErrorCode::kPeer, "--nproc: this wsirun was built without MPI"};
  }
  std::vector<std::string> words = OwnCommandLine();
  std::error_code error;
  words[0] = std::filesystem::read_symlink("/proc/self/exe", error).string();
  if (error) return IoError(fmt::format("/proc/self/exe: {}", error.message()));
  words.insert(words.begin(), {launcher, "-n", std::to_string(ranks)});
  // Open MPI refuses what containers and small machines are: root, and fewer cores than ranks.
  // It binds two ranks to a core each, however many there are: they bind themselves.
  // Told to stop, it gives the ranks time for a checkpoint.
  for (const auto& [name, value] :
       {std::pair("OMPI_ALLOW_RUN_AS_ROOT", "1"), std::pair("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1"),
        std::pair("OMPI_MCA_rmaps_base_oversubscribe", "1"),
        std::pair("OMPI_MCA_hwloc_base_binding_policy", "none"),
        std::pair("OMPI_MCA_odls_base_sigkill_timeout", "30")}) {
    setenv(name, value, 0);
  }
  std::vector<char*> argv;
  argv.reserve(words.size() + 1);
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  execvp(argv[0], argv.data());
  return {ErrorCode::kPeer, fmt::format("--nproc: {}: {}", launcher, std::strerror(errno))};
}

}  // namespace

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
  if (arguments.ranks > 1 && LaunchedRanks() == 0) return Report(command, Launch(arguments.ranks));
  const Result<std::unique_ptr<Communicator>> connected = Connect({.timeout = arguments.timeout()});
  if (!connected.ok()) return Report(command, connected.status());
  Communicator& ranks = **connected;
  const Status status = body(ranks);
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
