#include "runtime/comm/peer_watch.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <fstream>
#include <utility>

namespace wsi {
namespace {

// Names this process among all; processes with the same first part see each other's ids.
std::string Identity() {
  std::string boot;
  std::ifstream("/proc/sys/kernel/random/boot_id") >> boot;
  std::array<char, 64> space{};
  const ssize_t length = readlink("/proc/self/ns/pid", space.data(), space.size() - 1);
  return fmt::format("{} {}/{}", boot, length > 0 ? space.data() : "", getpid());
}

// The process id of another rank's identity; 0: it is not one of this machine and container.
pid_t ProcessOf(const std::string& identity, const std::string& own) {
  const size_t slash = own.rfind('/');
  if (identity.compare(0, slash + 1, own, 0, slash + 1) != 0) return 0;
  pid_t process = 0;
  std::from_chars(identity.data() + slash + 1, identity.data() + identity.size(), process);
  return process;
}

}  // namespace

Result<std::unique_ptr<PeerWatch>> PeerWatch::Start(Communicator& communicator,
                                                    std::function<void(int rank)> on_end) {
  std::unique_ptr<PeerWatch> watch(new PeerWatch);
  if (communicator.size() == 1) return watch;
  const std::string own = Identity();
  WSI_ASSIGN_OR_RETURN(const std::vector<std::string> all, communicator.Gather(own));
  for (size_t rank = 0; rank < all.size(); ++rank) {
    const pid_t process = ProcessOf(all[rank], own);
    if (process <= 0 || process == getpid()) continue;
    const auto descriptor = static_cast<int>(syscall(SYS_pidfd_open, process, 0));
    // Where the kernel has no such call, or does not allow it, the timeout is left.
    if (descriptor >= 0) watch->peers_.push_back({static_cast<int>(rank), descriptor});
  }
  watch->stop_ = eventfd(0, EFD_CLOEXEC);
  if (watch->stop_ < 0) return InternalError("eventfd failed");
  watch->thread_ =
      std::thread([raw = watch.get(), on_end = std::move(on_end)] { raw->Watch(on_end); });
  return watch;
}

PeerWatch::~PeerWatch() {
  if (thread_.joinable()) {
    eventfd_write(stop_, 1);
    thread_.join();
  }
  if (stop_ >= 0) close(stop_);
  for (const Peer& peer : peers_) close(peer.descriptor);
}

void PeerWatch::Watch(const std::function<void(int rank)>& on_end) const {
  std::vector<pollfd> waits = {{stop_, POLLIN, 0}};
  for (const Peer& peer : peers_) waits.push_back({peer.descriptor, POLLIN, 0});
  while (poll(waits.data(), waits.size(), -1) < 0) {
    if (errno != EINTR) return;
  }
  if (waits[0].revents != 0) return;
  for (size_t i = 1; i < waits.size(); ++i) {
    if (waits[i].revents == 0) continue;
    on_end(peers_[i - 1].rank);
    return;
  }
}

}  // namespace wsi
