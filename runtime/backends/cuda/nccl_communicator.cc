#include "runtime/backends/cuda/nccl_communicator.h"

#include <fmt/format.h>

#include <algorithm>
#include <thread>

namespace wsi::cuda {
namespace {

// How long a wait polls without sleep.
constexpr auto kEagerTime = std::chrono::milliseconds(2);
constexpr auto kPollInterval = std::chrono::microseconds(20);
// How long streams have to end behind an abort.
constexpr auto kAbortPatience = std::chrono::seconds(5);

void Pause(std::chrono::steady_clock::time_point start) {
  if (std::chrono::steady_clock::now() - start < kEagerTime) {
    std::this_thread::yield();
  } else {
    std::this_thread::sleep_for(kPollInterval);
  }
}

// The query's answer; that something is not ready is none of CUDA's errors.
Result<bool> IsReady(cudaError_t answer, std::string_view call) {
  if (answer == cudaSuccess) return true;
  if (answer != cudaErrorNotReady) return ToStatus(answer, call);
  cudaGetLastError();
  return false;
}

}  // namespace

Result<Collective> Collective::Make(std::string name) {
  Collective collective{.name = std::move(name), .begin = nullptr, .end = nullptr};
  WSI_ASSIGN_OR_RETURN(collective.begin, MakeEvent(false));
  WSI_ASSIGN_OR_RETURN(collective.end, MakeEvent(false));
  return collective;
}

NcclCommunicator::~NcclCommunicator() {
  if (comm_ == nullptr) return;
  if (Settle(api_.ncclCommFinalize(comm_), "ncclCommFinalize").ok()) api_.ncclCommDestroy(comm_);
}

Status NcclCommunicator::ToStatus(ncclResult_t code, std::string_view call) const {
  const char* detail = api_.ncclGetLastError(comm_);
  return {ErrorCode::kPeer, fmt::format("NCCL: {}: {}{}{}", call, api_.ncclGetErrorString(code),
                                        detail == nullptr || *detail == '\0' ? "" : ": ",
                                        detail == nullptr ? "" : detail)};
}

Status NcclCommunicator::Break(Status status) {
  if (comm_ != nullptr) api_.ncclCommAbort(comm_);
  comm_ = nullptr;
  broken_ = status;
  return status;
}

Status NcclCommunicator::GiveUp(std::string_view operation) {
  if (options_.give_up) return Break(options_.give_up(operation));
  return Break({ErrorCode::kPeer,
                fmt::format("{}: not every rank took part within {} s (--comm-timeout)", operation,
                            std::chrono::duration<double>(options_.timeout).count())});
}

Status NcclCommunicator::CheckPeers(std::string_view operation, Clock::time_point start) {
  if (!options_.check_peers || Clock::now() - start < kEagerTime) return {};
  Status status = options_.check_peers(operation);
  return status.ok() ? status : Break(std::move(status));
}

Status NcclCommunicator::Settle(ncclResult_t code, std::string_view call) {
  if (!broken_.ok()) return broken_;
  const Clock::time_point start = Clock::now();
  while (code == ncclInProgress) {
    const ncclResult_t asked = api_.ncclCommGetAsyncError(comm_, &code);
    if (asked != ncclSuccess) code = asked;
    if (code != ncclInProgress) break;
    WSI_RETURN_IF_ERROR(CheckPeers(call, start));
    if (Clock::now() - start > options_.timeout) return GiveUp(call);
    Pause(start);
  }
  return code == ncclSuccess ? Status() : Break(ToStatus(code, call));
}

Status NcclCommunicator::Connect(const ncclUniqueId& id) {
  WSI_RETURN_IF_CUDA_ERROR(cudaSetDevice(options_.device));
  WSI_ASSIGN_OR_RETURN(stream_, MakeStream());
  ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
  config.blocking = 0;
  WSI_RETURN_IF_ERROR(
      Settle(api_.ncclCommInitRankConfig(&comm_, size(), id, rank(), &config), "start of NCCL"));
  return TakeFirstMean();
}

// Opens the connections that the first step would wait for, and shows that they work.
Status NcclCommunicator::TakeFirstMean() {
  WSI_RETURN_IF_ERROR(scratch_.Require(sizeof(float)));
  auto* value = scratch_.at<float>(0);
  auto mean = static_cast<float>(rank() + 1);
  WSI_RETURN_IF_CUDA_ERROR(
      cudaMemcpyAsync(value, &mean, sizeof(mean), cudaMemcpyHostToDevice, stream()));
  WSI_RETURN_IF_CUDA_ERROR(cudaStreamSynchronize(stream()));
  WSI_ASSIGN_OR_RETURN(Collective first, Collective::Make("first sum over ranks"));
  WSI_RETURN_IF_ERROR(Begin(first));
  WSI_RETURN_IF_ERROR(
      Settle(api_.ncclAllReduce(value, value, 1, ncclFloat, ncclAvg, comm_, stream()), first.name));
  WSI_RETURN_IF_ERROR(End(first));
  Status waited = Wait(stream());
  under_way_.clear();  // It ends here.
  head_ = 0;
  WSI_RETURN_IF_ERROR(waited);
  WSI_RETURN_IF_CUDA_ERROR(
      cudaMemcpyAsync(&mean, value, sizeof(mean), cudaMemcpyDeviceToHost, stream()));
  WSI_RETURN_IF_CUDA_ERROR(cudaStreamSynchronize(stream()));
  const float wanted = 0.5F * static_cast<float>(size() + 1);
  if (mean > wanted - 0.25F && mean < wanted + 0.25F) return {};
  return Break({ErrorCode::kPeer,
                fmt::format("NCCL: the mean of 1 to {} came out as {}: the connection between the "
                            "GPUs does not work; try NCCL_P2P_DISABLE=1, or --comm mpi",
                            size(), mean)});
}

Status NcclCommunicator::Begin(Collective& collective) {
  if (!broken_.ok()) return broken_;
  return WSI_CUDA_STATUS(cudaEventRecord(collective.begin.get(), stream()));
}

Status NcclCommunicator::End(Collective& collective) {
  if (head_ == under_way_.size()) {
    under_way_.clear();
    head_ = 0;
    head_runs_ = false;
  }
  under_way_.push_back(&collective);
  return WSI_CUDA_STATUS(cudaEventRecord(collective.end.get(), stream()));
}

Result<bool> NcclCommunicator::IsPast(const Event& event) const {
  return IsReady(cudaEventQuery(event.get()), "cudaEventQuery");
}

Status NcclCommunicator::CheckUnderWay(Clock::time_point start) {
  ncclResult_t state = ncclSuccess;
  const ncclResult_t asked = api_.ncclCommGetAsyncError(comm_, &state);
  if (asked != ncclSuccess) state = asked;
  for (; head_ < under_way_.size(); ++head_, head_runs_ = false) {
    WSI_ASSIGN_OR_RETURN(const bool is_past, IsPast(under_way_[head_]->end));
    if (!is_past) break;
  }
  const bool is_idle = head_ == under_way_.size();
  const std::string_view name = is_idle ? "a step" : std::string_view(under_way_[head_]->name);
  if (state != ncclSuccess && state != ncclInProgress) return Break(ToStatus(state, name));
  WSI_RETURN_IF_ERROR(CheckPeers(name, start));
  if (is_idle) return {};
  if (!head_runs_) {
    WSI_ASSIGN_OR_RETURN(head_runs_, IsPast(under_way_[head_]->begin));
    head_since_ = Clock::now();
  }
  const bool is_late = head_runs_ && Clock::now() - head_since_ > options_.timeout;
  return is_late ? GiveUp(name) : Status();
}

Status NcclCommunicator::Wait(cudaStream_t stream) {
  const Clock::time_point start = Clock::now();
  while (true) {
    WSI_ASSIGN_OR_RETURN(const bool is_done, IsReady(cudaStreamQuery(stream), "cudaStreamQuery"));
    if (is_done) return {};
    if (comm_ != nullptr) {
      WSI_RETURN_IF_ERROR(CheckUnderWay(start));
    } else if (Clock::now() - start > kAbortPatience) {
      return {ErrorCode::kPeer, "a stream does not end behind an error of NCCL"};
    }
    Pause(start);
  }
}

}  // namespace wsi::cuda
