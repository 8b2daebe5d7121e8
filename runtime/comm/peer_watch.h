// Sees at once when a rank on this machine ends, where its other ranks would wait for it
// until they time out, or until a launcher kills them as well.
#pragma once

#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "runtime/comm/communicator.h"

namespace wsi {

class PeerWatch {
 public:
  // Collective. Calls `on_end` once, on a thread of its own, with the first rank that ends
  // before this object does. Ranks of other machines and containers are not watched.
  static Result<std::unique_ptr<PeerWatch>> Start(Communicator& communicator,
                                                  std::function<void(int rank)> on_end);
  PeerWatch(const PeerWatch&) = delete;
  PeerWatch& operator=(const PeerWatch&) = delete;
  ~PeerWatch();

 private:
  // A file descriptor that becomes readable when the process ends; linux, pidfd_open.
  struct Peer {
    int rank = 0;
    int descriptor = -1;
  };

  PeerWatch() = default;
  void Watch(const std::function<void(int rank)>& on_end) const;

  std::vector<Peer> peers_;
  int stop_ = -1;  // Readable when there is nothing more to watch.
  std::thread thread_;
};

}  // namespace wsi
