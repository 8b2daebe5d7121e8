// What ranks must be of one mind about.
#pragma once

#include <span>
#include <string>

#include "runtime/comm/communicator.h"

namespace wsi {

// Ok if every rank's own status is; else, on every rank, that of the first rank that failed,
// which it names. Collective.
Status Agree(Communicator& communicator, const Status& own);

// Something that every rank has to have alike.
struct SharedFact {
  std::string name;   // For people: "another plan".
  std::string value;  // A few bytes, such as a hash.
};
// kInvalidInput, on every rank, naming rank and fact where one differs from rank 0's.
// Collective.
Status CheckSame(Communicator& communicator, std::span<const SharedFact> facts);

}  // namespace wsi
