#include "tools/wsirun/bind_rank.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <sstream>
#include <string>
#include <vector>

#include "tools/wsirun/ranks.h"

namespace wsi {
namespace {

// A rank's seat and machine on their way to the others: "HOST NODE PROCESSOR ...". A host's name
// has no blanks.
std::string Pack(const std::string& host, const RankSeat& seat) {
  return fmt::format("{} {} {}", host, seat.gpu_node, fmt::join(seat.bound, " "));
}

struct Arrived {
  std::string host;
  RankSeat seat;
};
Arrived Unpack(const std::string& bytes) {
  Arrived arrived;
  std::istringstream words(bytes);
  words >> arrived.host >> arrived.seat.gpu_node;
  for (int processor = 0; words >> processor;) arrived.seat.bound.push_back(processor);
  return arrived;
}

}  // namespace

Result<Placement> PlaceRank(Communicator& ranks, int gpu_node) {
  const Result<Machine> machine = ReadMachine();
  RankSeat own = {.bound = {}, .gpu_node = gpu_node};
  if (machine.ok()) own.bound = machine->bound;
  const std::string host = HostName();
  WSI_ASSIGN_OR_RETURN(const std::vector<std::string> gathered, ranks.Gather(Pack(host, own)));
  if (!machine.ok()) {
    Placement placement;
    placement.reason = machine.status().message();
    return placement;
  }
  std::vector<RankSeat> seats;  // Of this machine.
  size_t place = 0;
  for (size_t rank = 0; rank < gathered.size(); ++rank) {
    Arrived arrived = Unpack(gathered[rank]);
    if (arrived.host != host) continue;
    if (static_cast<int>(rank) == ranks.rank()) place = seats.size();
    seats.push_back(std::move(arrived.seat));
  }
  return ChoosePlacements(*machine, seats)[place];
}

Status BindRank(const RankArguments& arguments, Communicator& ranks, int gpu_node) {
  WSI_ASSIGN_OR_RETURN(const Placement own, PlaceRank(ranks, gpu_node));
  if (arguments.bind == "none" || !own.binds()) return {};
  const Status bound = BindProcess(own.processors, own.node);
  if (!bound.ok() && ranks.rank() == 0) {
    fmt::print(stderr, "ranks are not bound to cores: {}\n", bound.message());
  }
  return {};
}

}  // namespace wsi
