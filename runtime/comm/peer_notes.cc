#include "runtime/comm/peer_notes.h"

#include <algorithm>
#include <type_traits>

namespace wsi {
namespace {

constexpr int kTag = 1;
static_assert(std::is_trivially_copyable_v<PeerNote>);

}  // namespace

void PeerNote::SetText(std::string_view words) {
  const size_t length = std::min(words.size(), text.size() - 1);
  std::copy_n(words.data(), length, text.data());
  text[length] = '\0';
}

Status PeerNotes::Open(MPI_Comm comm) {
  if (MPI_Comm_dup(comm, &comm_) != MPI_SUCCESS ||
      MPI_Comm_set_errhandler(comm_, MPI_ERRORS_RETURN) != MPI_SUCCESS) {
    return {ErrorCode::kPeer, "MPI_Comm_dup failed"};
  }
  return {};
}

void PeerNotes::Close() {
  if (comm_ != MPI_COMM_NULL) MPI_Comm_free(&comm_);
}

// NOLINTBEGIN(clang-analyzer-optin.mpi.MPI-Checker): the request is given back to MPI.
void PeerNotes::Send(int to, const PeerNote& note) {
  const PeerNote& kept = sent_.emplace_back(note);
  MPI_Request request = MPI_REQUEST_NULL;
  if (MPI_Isend(&kept, sizeof(kept), MPI_BYTE, to, kTag, comm_, &request) == MPI_SUCCESS) {
    MPI_Request_free(&request);
  }
}
// NOLINTEND(clang-analyzer-optin.mpi.MPI-Checker)

std::optional<PeerNote> PeerNotes::Next() {
  int has_come = 0;
  MPI_Status status;
  if (comm_ == MPI_COMM_NULL ||
      MPI_Iprobe(MPI_ANY_SOURCE, kTag, comm_, &has_come, &status) != MPI_SUCCESS || has_come == 0) {
    return std::nullopt;
  }
  PeerNote note;
  if (MPI_Recv(&note, sizeof(note), MPI_BYTE, status.MPI_SOURCE, kTag, comm_, MPI_STATUS_IGNORE) !=
      MPI_SUCCESS) {
    return std::nullopt;
  }
  note.from = status.MPI_SOURCE;
  note.text.back() = '\0';
  return note;
}

}  // namespace wsi
