#include "tools/wsirun/launcher.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "runtime/comm/communicator.h"

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

// Open MPI refuses what containers and small machines are: root, and fewer cores than ranks.
// It binds two ranks to a core each, however many there are: they bind themselves.
void SetLauncherDefaults() {
  for (const auto& [name, value] :
       {std::pair("OMPI_ALLOW_RUN_AS_ROOT", "1"), std::pair("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1"),
        std::pair("OMPI_MCA_rmaps_base_oversubscribe", "1"),
        std::pair("OMPI_MCA_hwloc_base_binding_policy", "none")}) {
    setenv(name, value, 0);
  }
}

// What the parent waits for.
sigset_t WaitedSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT, SIGUSR1, SIGCHLD}) sigaddset(&signals, signal);
  return signals;
}

// In the child: becomes the launcher, out of a terminal's reach and no longer there than its
// parent.
[[noreturn]] void BecomeLauncher(std::vector<char*>& argv, const sigset_t& mask, pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (getppid() != parent) _exit(ExitCode(ErrorCode::kPeer));
  setpgid(0, 0);
  const int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (nothing >= 0) dup2(nothing, STDIN_FILENO);
  sigprocmask(SIG_SETMASK, &mask, nullptr);
  execvp(argv[0], argv.data());
  fmt::print(stderr, "wsirun: --nproc: {}: {}\n", argv[0], std::strerror(errno));
  _exit(ExitCode(ErrorCode::kPeer));
}

// Hands signals on until the launcher has ended.
int WaitFor(pid_t launcher, const sigset_t& signals) {
  while (true) {
    int signal = 0;
    sigwait(&signals, &signal);
    if (signal != SIGCHLD) {
      kill(launcher, SIGUSR1);
      continue;
    }
    int status = 0;
    if (waitpid(launcher, &status, WNOHANG) != launcher) continue;
    return WIFEXITED(status) ? WEXITSTATUS(status) : ExitCode(ErrorCode::kPeer);
  }
}

}  // namespace

Result<int> RunLauncher(int ranks) {
  const std::string launcher(LauncherName());
  if (launcher.empty()) {
    return Status(ErrorCode::kPeer, "--nproc: this wsirun was built without MPI");
  }
  std::vector<std::string> words = OwnCommandLine();
  std::error_code error;
  words[0] = std::filesystem::read_symlink("/proc/self/exe", error).string();
  if (error) return IoError(fmt::format("/proc/self/exe: {}", error.message()));
  words.insert(words.begin(), {launcher, "-n", std::to_string(ranks)});
  std::vector<char*> argv;
  argv.reserve(words.size() + 1);
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  SetLauncherDefaults();

  const sigset_t signals = WaitedSignals();
  sigset_t before;
  sigprocmask(SIG_BLOCK, &signals, &before);
  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child < 0) {
    return Status(ErrorCode::kPeer, fmt::format("--nproc: {}", std::strerror(errno)));
  }
  if (child == 0) BecomeLauncher(argv, before, parent);
  return WaitFor(child, signals);
}

}  // namespace wsi
