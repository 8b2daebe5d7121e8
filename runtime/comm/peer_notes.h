// Notes from rank to rank beside the collectives, for finding out why one does not end.
// Private to runtime/comm.
//
//   rank 0 gives up at its 40th operation     kQuestion 40 ─> 1, 2
//   rank 2 waits there too                    kAnswer 40   ─> 0
//   rank 1 has stopped                        (nothing: it is rank 1 that is missing)
#pragma once

#include <mpi.h>

#include <array>
#include <cstdint>
#include <deque>
#include <optional>
#include <string_view>

#include "runtime/base/status.h"

namespace wsi {

// What one rank writes another, byte for byte.
struct PeerNote {
  enum class Kind : int32_t { kQuestion, kAnswer, kFailure };
  Kind kind = Kind::kQuestion;
  int32_t from = -1;
  int32_t about = -1;      // Of a failure: the rank that it comes from.
  int64_t operations = 0;  // That the sender has begun.
  std::array<char, 512> text{};

  void SetText(std::string_view words);
};

// Not thread-safe.
class PeerNotes {
 public:
  PeerNotes() = default;
  PeerNotes(const PeerNotes&) = delete;
  PeerNotes& operator=(const PeerNotes&) = delete;

  // Collective; `comm` may be used for anything else.
  Status Open(MPI_Comm comm);
  // Collective.
  void Close();
  // Does not wait for it to arrive; a rank that cannot be reached stays without it.
  void Send(int to, const PeerNote& note);
  // The next that has come.
  std::optional<PeerNote> Next();

 private:
  MPI_Comm comm_ = MPI_COMM_NULL;
  std::deque<PeerNote> sent_;  // MPI may read them until it has delivered them.
};

}  // namespace wsi
