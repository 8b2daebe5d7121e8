// What the ranks of a run do together between the executor's runs.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstring>
#include <thread>
#include <type_traits>

#include "runtime/comm/agreement.h"
#include "runtime/plan/plan.pb.h"
#include "runtime/train/run_ranks.h"
#include "runtime/train/trainer.h"

namespace wsi {
namespace {

constexpr auto kTellerPatience = std::chrono::seconds(1);

}  // namespace

// This rank's share of the epoch behind its first `skip` samples.
Status Trainer::EnqueueEpoch(int64_t epoch, int64_t skip) {
  const std::vector<int64_t> order =
      EpochOrder(static_cast<int64_t>(train_rows_.size()), state_.seed, epoch);
  std::vector<int64_t> rows;
  for (int64_t i = skip; i < StepsPerEpoch() * GlobalBatch(); ++i) {
    rows.push_back(train_rows_[static_cast<size_t>(order[static_cast<size_t>(i)])]);
  }
  const std::vector<int64_t> own = ShareOfRank(rows, batch_, ranks_->rank(), ranks_->size());
  (epoch == state_.epoch ? own_rows_ : next_own_rows_) = static_cast<int64_t>(own.size());
  enqueued_epoch_ = epoch;
  return feeder_->Enqueue(own, epoch);
}

Result<bool> Trainer::Resume() {
  int64_t found = 0;
  const auto load = [&]() -> Status {
    if (!is_root()) return {};
    WSI_ASSIGN_OR_RETURN(const std::optional<std::string> folder, checkpoints_.Latest());
    if (!folder.has_value()) return {};
    WSI_ASSIGN_OR_RETURN(state_, checkpoints_.Load(*folder, *executor_));
    if (state_.seed != options_.seed) {
      return UsageError(fmt::format("{}: the run has seed {}, not {}; resume it with --seed {}",
                                    *folder, state_.seed, options_.seed, state_.seed));
    }
    progress_.Print(fmt::format("resuming from {} (epoch {}, step {})", *folder, state_.epoch + 1,
                                state_.step));
    found = 1;
    return {};
  };
  WSI_RETURN_IF_ERROR(Agree(*ranks_, load()));
  WSI_RETURN_IF_ERROR(ranks_->Max(std::span(&found, 1)));
  if (found == 0) return false;
  static_assert(std::is_trivially_copyable_v<TrainerState>);
  WSI_RETURN_IF_ERROR(ranks_->Broadcast(std::as_writable_bytes(std::span(&state_, 1)), 0));
  rate_.Restore(state_.learning_rate);
  loss_scale_.Restore(state_.loss_scale);
  return true;
}

// Notes that every rank returns this error. Those of the communicator are each rank's own.
Status Trainer::Agreed(Status status) {
  all_know_ = status.code() != ErrorCode::kPeer;
  return status;
}

// The communicator's errors come from the rank that it names, others from this one. A rank that
// cannot write into the run's folder has rank 0 tell it.
void Trainer::ReportFailure(const Status& status) {
  PeerFailure failure = {ranks_->rank(), status.message()};
  if (status.code() == ErrorCode::kPeer) failure.rank = ranks_->failure().rank;
  const Result<bool> first = status_.Fail(failure, ranks_->rank());
  if (first.ok() && !*first) {
    // Whoever came first may still be writing; it ends this one.
    std::this_thread::sleep_for(kTellerPatience);
    return;
  }
  fmt::print(stderr, "wsirun: rank {}: behind step {}: {}\n", ranks_->rank(), state_.step,
             status.message());
  if (first.ok()) return;
  fmt::print(stderr, "wsirun: rank {}: {}\n", ranks_->rank(), first.status().message());
  ranks_->Announce(failure);
}

void Trainer::ReportEnded(int rank) {
  const std::string what = fmt::format("{}: rank {} has ended", status_.stage(), rank);
  const Result<bool> first = status_.Fail({rank, what}, ranks_->rank());
  if (first.ok() && *first) {
    fmt::print(stderr, "wsirun: rank {}: behind step {}: {}\n", ranks_->rank(), status_.step(),
               what);
  }
  ranks_->Interrupt(rank);
}

Status Trainer::Log(const std::string& event, const EventFields& fields) {
  return events_ ? events_->Write(event, fields) : Status();
}

Result<bool> Trainer::NextBatch() {
  Result<std::vector<int64_t>> rows = feeder_->Next(state_.epoch);
  const bool ended = rows.ok() && static_cast<int64_t>(rows->size()) < batch_;
  const int64_t consumed = feeder_->consumed() - consumed_before_;
  std::array<int64_t, 3> most = {rows.ok() ? 0 : 1, ended ? 1 : 0, consumed};
  WSI_RETURN_IF_ERROR(ranks_->Max(most));
  if (most[0] != 0) return Agreed(Agree(*ranks_, rows.ok() ? Status() : rows.status()));
  state_.position = position_before_ + most[2] * ranks_->size();
  if (most[1] == 0) {
    micro_rows_ = *std::move(rows);
    return true;
  }
  // Another rank has run out, for some of its slides were bad: this one's wait for another epoch.
  while (rows.ok() && !rows->empty()) rows = feeder_->Next(state_.epoch);
  return false;
}

// Adds up the losses of all ranks, in their order, and agrees on whether to stop.
Status Trainer::ShareLoss(double loss) {
  std::array<double, 2> own = {loss, stop_->load() ? 1.0 : 0.0};
  std::string bytes(sizeof(own), '\0');
  std::memcpy(bytes.data(), own.data(), sizeof(own));
  WSI_ASSIGN_OR_RETURN(const std::vector<std::string> all, ranks_->Gather(bytes));
  must_stop_ = false;
  bool is_finite = true;
  for (const std::string& of_rank : all) {
    WSI_CHECK(of_rank.size() == sizeof(own));
    std::memcpy(own.data(), of_rank.data(), sizeof(own));
    must_stop_ = must_stop_ || own[1] != 0;
    micro_loss_ += own[0];
    if (!std::isfinite(own[0])) {
      is_finite = false;
      continue;
    }
    state_.loss_sum += own[0];
    ++state_.loss_count;
  }
  if (!std::isfinite(loss)) {
    bad_loss_ = fmt::format("the loss is {} on slide {}", loss, MicroSlides());
  }
  return is_finite || finite_flag_ >= 0 ? Status() : EndForLoss();
}

Status Trainer::EndForLoss() {
  if (bad_loss_.empty()) return Agreed(Agree(*ranks_, Status()));
  return Agreed(Agree(
      *ranks_, NumericError(fmt::format(
                   "step {}: {}; resume with a lower --learning-rate{}", state_.step + 1, bad_loss_,
                   executor_->plan().precision() == "fp16" ? ", or try --precision bf16" : ""))));
}

// Running statistics and whatever else a step leaves behind, on every rank.
Result<bool> Trainer::IsStateFinite() const {
  std::array<int64_t, 1> is_bad = {0};
  for (int i = 0; i < executor_->plan().persistents_size(); ++i) {
    WSI_ASSIGN_OR_RETURN(const Tensor tensor, executor_->ReadPersistent(i));
    if (tensor.dtype() != DType::kF32 && tensor.dtype() != DType::kF64) continue;
    const std::vector<double> values = tensor.ToDoubles();
    const bool finite =
        std::all_of(values.begin(), values.end(), [](double v) { return std::isfinite(v); });
    if (!finite) is_bad[0] = 1;
  }
  WSI_RETURN_IF_ERROR(ranks_->Max(is_bad));
  return is_bad[0] == 0;
}

}  // namespace wsi
