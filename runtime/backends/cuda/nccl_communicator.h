// NCCL's communicator of this rank, its stream, and what is under way on it. Private to
// nccl_ranks.cc and nccl_mean.cc.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/backends/cuda/cuda_ranks.h"
#include "runtime/backends/cuda/lanes.h"
#include "runtime/backends/cuda/nccl_library.h"
#include "runtime/backends/cuda/scratch.h"

namespace wsi::cuda {

// One collective, enqueued again and again. Its events tell where the stream is.
struct Collective {
  std::string name;  // "sum over ranks 'gradients.0'"
  Event begin;
  Event end;
  static Result<Collective> Make(std::string name);
};

class NcclCommunicator {
 public:
  NcclCommunicator(NcclLibrary api, const CudaRanksOptions& options)
      : api_(std::move(api)), options_(options) {}
  // Waits until no rank needs this one any more.
  ~NcclCommunicator();
  NcclCommunicator(const NcclCommunicator&) = delete;
  NcclCommunicator& operator=(const NcclCommunicator&) = delete;

  Status Connect(const ncclUniqueId& id);

  const NcclLibrary& api() const { return api_; }
  int rank() const { return options_.rank; }
  int size() const { return options_.size; }
  ncclComm_t comm() const { return comm_; }
  cudaStream_t stream() const { return stream_.get(); }
  Scratch& scratch() { return scratch_; }
  const Scratch& scratch() const { return scratch_; }

  // Returns when what NCCL was called for, of which `code` is the last result, is on the
  // stream. kPeer where that fails or takes too long.
  Status Settle(ncclResult_t code, std::string_view call);
  // Around the calls that enqueue `collective`, which is borrowed until the stream is past it.
  Status Begin(Collective& collective);
  Status End(Collective& collective);

  // Waits for a stream which may wait for this one.
  Status Wait(cudaStream_t stream);

 private:
  using Clock = std::chrono::steady_clock;

  Status ToStatus(ncclResult_t code, std::string_view call) const;
  // Gives up all that is under way.
  Status Break(Status status);
  Status GiveUp(std::string_view operation);
  // What is known of the other ranks, after a wait that began at `start`.
  Status CheckPeers(std::string_view operation, Clock::time_point start);
  Status CheckUnderWay(Clock::time_point start);
  Result<bool> IsPast(const Event& event) const;
  Status TakeFirstMean();

  NcclLibrary api_;
  CudaRanksOptions options_;
  Stream stream_;
  Scratch scratch_;  // Of collectives, which follow one another on the stream.
  ncclComm_t comm_ = nullptr;
  Status broken_;  // What broke the ranks.
  std::vector<Collective*> under_way_;
  size_t head_ = 0;  // Of under_way_: the first that the stream is not known to be past.
  bool head_runs_ = false;
  Clock::time_point head_since_;  // If it runs: since when that is known.
};

}  // namespace wsi::cuda
