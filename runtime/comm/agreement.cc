#include "runtime/comm/agreement.h"

#include <fmt/format.h>

#include <vector>

namespace wsi {

Status Agree(Communicator& communicator, const Status& own) {
  if (communicator.size() == 1) return own;
  int64_t failed = own.ok() ? 0 : 1;
  WSI_RETURN_IF_ERROR(communicator.Max(std::span(&failed, 1)));
  if (failed == 0) return {};
  std::string text;
  if (!own.ok()) text = static_cast<char>(own.code()) + own.message();
  WSI_ASSIGN_OR_RETURN(const std::vector<std::string> all, communicator.Gather(text));
  for (size_t rank = 0; rank < all.size(); ++rank) {
    if (all[rank].empty()) continue;
    return {static_cast<ErrorCode>(all[rank][0]),
            fmt::format("rank {}: {}", rank, all[rank].substr(1))};
  }
  return InternalError("a rank failed and did not say why");
}

Status CheckSame(Communicator& communicator, std::span<const SharedFact> facts) {
  for (const SharedFact& fact : facts) {
    WSI_ASSIGN_OR_RETURN(const std::vector<std::string> all, communicator.Gather(fact.value));
    for (size_t rank = 1; rank < all.size(); ++rank) {
      if (all[rank] == all[0]) continue;
      return InvalidInput(fmt::format(
          "rank {} has {} than rank 0; start all ranks with the same program, files and options",
          rank, fact.name));
    }
  }
  return {};
}

}  // namespace wsi
