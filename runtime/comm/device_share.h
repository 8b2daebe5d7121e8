// Which devices the ranks of a run compute on.
#pragma once

#include <string>

#include "runtime/comm/communicator.h"

namespace wsi {

struct OwnDevice {
  std::string id;    // The same in all processes, and no other device's; empty: nothing to share.
  std::string name;  // For people: "NVIDIA H100 on node7".
};

// Whether every rank has a device of its own: the same answer on every rank. Where two have
// the same one and `oversubscribe` is not set, kInvalidInput naming the first two. Collective.
Result<bool> CheckDeviceShare(Communicator& communicator, const OwnDevice& own, bool oversubscribe);

}  // namespace wsi
