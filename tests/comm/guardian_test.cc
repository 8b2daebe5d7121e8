// Processes that end, and that do not.
#include "runtime/comm/guardian.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <fstream>
#include <functional>
#include <string>
#include <thread>

namespace wsi {
namespace {

using std::chrono::milliseconds;

struct Ending {
  int status = 0;    // As waitpid has it.
  std::string said;  // Of the process and its guard, until both have ended.
};

// Runs `body` in a process of its own.
Ending RunProcess(const std::function<void()>& body) {
  std::array<int, 2> ends{};
  EXPECT_EQ(pipe(ends.data()), 0);
  const pid_t child = fork();
  if (child == 0) {
    dup2(ends[1], STDERR_FILENO);
    close(ends[0]);
    close(ends[1]);
    body();
    _exit(0);
  }
  close(ends[1]);
  Ending ending;
  std::array<char, 256> part{};
  for (ssize_t n = 0; (n = read(ends[0], part.data(), part.size())) > 0;) {
    ending.said.append(part.data(), static_cast<size_t>(n));
  }
  close(ends[0]);
  EXPECT_EQ(waitpid(child, &ending.status, 0), child);
  return ending;
}

// This process's child, once it has its name.
pid_t OwnGuard() {
  while (true) {
    pid_t guard = 0;
    std::ifstream("/proc/thread-self/children") >> guard;
    std::string name;
    std::ifstream("/proc/" + std::to_string(guard) + "/comm") >> name;
    if (name == "wsirun-guard") return guard;
    std::this_thread::sleep_for(milliseconds(1));
  }
}

TEST(Guardian, KillsAProcessThatIsStopped) {
  const Ending ending = RunProcess([] {
    const Guardian guardian;
    guardian.WantEndWithin(milliseconds(50));
    raise(SIGSTOP);
  });
  EXPECT_TRUE(WIFSIGNALED(ending.status) && WTERMSIG(ending.status) == SIGKILL) << ending.status;
  EXPECT_NE(ending.said.find("killed by its guard"), std::string::npos) << ending.said;
}

TEST(Guardian, EndsWithAProcessThatEndsInTime) {
  const Ending ending = RunProcess([] {
    const Guardian guardian;
    guardian.WantEndWithin(std::chrono::hours(1));
    _exit(5);
  });
  EXPECT_TRUE(WIFEXITED(ending.status) && WEXITSTATUS(ending.status) == 5) << ending.status;
  EXPECT_EQ(ending.said, "");
}

TEST(Guardian, DoesNothingUntilTold) {
  const Ending ending = RunProcess([] {
    const Guardian guardian;
    std::this_thread::sleep_for(milliseconds(100));
    _exit(6);
  });
  EXPECT_TRUE(WIFEXITED(ending.status) && WEXITSTATUS(ending.status) == 6) << ending.status;
  EXPECT_EQ(ending.said, "");
}

// Schedulers send them to all processes of a job.
TEST(Guardian, OutlivesSignalsThatEndRuns) {
  const Ending ending = RunProcess([] {
    const Guardian guardian;
    const pid_t guard = OwnGuard();
    for (const int signal : {SIGTERM, SIGUSR1, SIGINT, SIGHUP}) kill(guard, signal);
    guardian.WantEndWithin(milliseconds(50));
    raise(SIGSTOP);
  });
  EXPECT_TRUE(WIFSIGNALED(ending.status) && WTERMSIG(ending.status) == SIGKILL) << ending.status;
}

TEST(Guardian, IsNotMissedWhereItIsGone) {
  const Ending ending = RunProcess([] {
    const Guardian guardian;
    const pid_t guard = OwnGuard();
    kill(guard, SIGKILL);
    waitpid(guard, nullptr, 0);
    guardian.WantEndWithin(milliseconds(1));
    _exit(7);
  });
  EXPECT_TRUE(WIFEXITED(ending.status) && WEXITSTATUS(ending.status) == 7) << ending.status;
}

}  // namespace
}  // namespace wsi
