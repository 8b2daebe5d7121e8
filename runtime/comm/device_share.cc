#include "runtime/comm/device_share.h"

#include <fmt/format.h>

#include <map>
#include <vector>

namespace wsi {

Result<bool> CheckDeviceShare(Communicator& communicator, const OwnDevice& own,
                              bool oversubscribe) {
  WSI_ASSIGN_OR_RETURN(const std::vector<std::string> all,
                       communicator.Gather(own.id + '\n' + own.name));
  std::map<std::string, size_t> owner;
  for (size_t rank = 0; rank < all.size(); ++rank) {
    const size_t end = all[rank].find('\n');
    if (end == 0) continue;
    const auto [first, is_new] = owner.emplace(all[rank].substr(0, end), rank);
    if (is_new) continue;
    if (oversubscribe) return false;
    return InvalidInput(fmt::format(
        "ranks {} and {} would both compute on {}: start as many ranks on a machine as it has "
        "devices, or let them share with --oversubscribe",
        first->second, rank, all[rank].substr(end + 1)));
  }
  return true;
}

}  // namespace wsi
