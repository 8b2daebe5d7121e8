#include "runtime/comm/guardian.h"

#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <limits>
#include <string_view>

namespace wsi {
namespace {

constexpr std::string_view kSaying =
    "wsirun: killed by its guard: it did not end although all ranks had; it may have been "
    "stopped\n";

constexpr int kFromParent = STDERR_FILENO + 1;

// The child. Only what is allowed between fork and exec.
[[noreturn]] void Guard(pid_t parent, int from_parent) {
  for (const int signal : {SIGHUP, SIGINT, SIGTERM, SIGTSTP, SIGUSR1, SIGUSR2}) {
    std::signal(signal, SIG_IGN);
  }
  prctl(PR_SET_NAME, "wsirun-guard");
  // Nobody shall wait for the ends of files that this process had open.
  dup2(from_parent, kFromParent);
  close_range(kFromParent + 1, std::numeric_limits<unsigned>::max(), 0);
  close(STDIN_FILENO);
  close(STDOUT_FILENO);
  int timeout = 0;
  ssize_t length = -1;
  do {
    length = read(kFromParent, &timeout, sizeof(timeout));
  } while (length < 0 && errno == EINTR);
  if (length != sizeof(timeout)) _exit(0);
  pollfd wait = {kFromParent, POLLIN, 0};
  int ready = -1;
  do {
    ready = poll(&wait, 1, timeout);
  } while (ready < 0 && errno == EINTR);
  if (ready == 0) {
    [[maybe_unused]] const ssize_t said = write(STDERR_FILENO, kSaying.data(), kSaying.size());
    kill(parent, SIGKILL);
  }
  _exit(0);
}

}  // namespace

Guardian::Guardian() {
  std::array<int, 2> ends{};
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) return;
  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child == 0) Guard(parent, ends[0]);
  close(ends[0]);
  if (child < 0) {
    close(ends[1]);
    return;
  }
  to_child_ = ends[1];
}

void Guardian::WantEndWithin(std::chrono::milliseconds timeout) const {
  if (to_child_ < 0) return;
  const auto count =
      static_cast<int>(std::clamp<int64_t>(timeout.count(), 0, std::numeric_limits<int>::max()));
  send(to_child_, &count, sizeof(count), MSG_NOSIGNAL);
}

}  // namespace wsi
