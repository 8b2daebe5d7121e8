#include "runtime/train/trainer.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "runtime/plan/plan.pb.h"
#include "runtime/train/run_ranks.h"

namespace wsi {
namespace {

using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

}  // namespace

Trainer::Trainer(Executor* executor, const Manifest* manifest, std::vector<int64_t> train_rows,
                 std::vector<int64_t> validation_rows, const TrainOptions& options,
                 std::optional<EventLog> events)
    : only_rank_(options.communicator == nullptr ? MakeSingleRank() : nullptr),
      ranks_(only_rank_ ? only_rank_.get() : options.communicator),
      executor_(executor),
      manifest_(manifest),
      train_rows_(std::move(train_rows)),
      validation_rows_(std::move(validation_rows)),
      options_(options),
      rate_(options.schedule),
      checkpoints_(options.run_dir, options.file_ops),
      status_(options.run_dir, options.file_ops),
      events_(std::move(events)),
      progress_(!is_root()) {}

Result<std::unique_ptr<Trainer>> Trainer::Make(Executor* executor, const Manifest* manifest,
                                               std::vector<int64_t> train_rows,
                                               std::vector<int64_t> validation_rows,
                                               const TrainOptions& options) {
  WSI_ASSIGN_OR_RETURN(const int program, executor->FindProgram("train"));
  WSI_ASSIGN_OR_RETURN(const ImageInput input, FindImageInput(executor->plan(), program));
  std::optional<EventLog> events;
  if (options.communicator == nullptr || options.communicator->rank() == 0) {
    WSI_ASSIGN_OR_RETURN(events, EventLog::Open(options.run_dir));
  }
  std::unique_ptr<Trainer> trainer(new Trainer(executor, manifest, std::move(train_rows),
                                               std::move(validation_rows), options,
                                               std::move(events)));
  trainer->program_ = program;
  trainer->batch_ = input.batch;
  trainer->accumulation_ = std::max(executor->plan().training().accumulation_steps(), 1);
  if (trainer->StepsPerEpoch() < 1) {
    return InvalidInput(fmt::format(
        "{} training slides do not fill one step of batch {} x {} accumulated{}; compile with less",
        trainer->train_rows_.size(), trainer->batch_, trainer->accumulation_,
        trainer->ranks_->size() > 1 ? fmt::format(" x {} ranks", trainer->ranks_->size()) : ""));
  }
  LearningRateOptions& schedule = trainer->options_.schedule;
  schedule.steps_per_epoch = trainer->StepsPerEpoch();
  schedule.total_epochs = options.epochs;
  WSI_RETURN_IF_ERROR(ValidateSchedule(schedule));
  trainer->rate_ = LearningRate(schedule);
  WSI_RETURN_IF_ERROR(trainer->StartLossScale());
  trainer->state_.seed = options.seed;
  trainer->options_.loader.seed = options.seed;
  return trainer;
}

// Plans without loss scaling have neither the scalar nor the flag.
Status Trainer::StartLossScale() {
  if (!executor_->SetScalar("loss_scale", LossScale::kFirst)) {
    if (!options_.loss_scale) return {};
    return UsageError(fmt::format("--loss-scale: the plan is {} and has no loss scaling",
                                  executor_->plan().precision()));
  }
  WSI_ASSIGN_OR_RETURN(finite_flag_, executor_->FindPersistent("gradients_finite"));
  LossScale::State state;
  state.scale = options_.loss_scale.value_or(state.scale);
  if (!std::isfinite(state.scale) || state.scale < LossScale::kFloor) {
    return UsageError(
        fmt::format("--loss-scale {}: must be at least {}", state.scale, LossScale::kFloor));
  }
  loss_scale_.Restore(state);
  return {};
}

// Slides beyond the last full step of an epoch wait for a later epoch's order.
int64_t Trainer::StepsPerEpoch() const {
  return static_cast<int64_t>(train_rows_.size()) / GlobalBatch();
}

Result<TrainSummary> Trainer::Run(const std::atomic<bool>& stop) {
  stop_ = &stop;
  Result<TrainSummary> summary = RunEpochs();
  watch_.reset();
  executor_->SetGradientTap({});  // It borrows the trainer.
  if (summary.ok() || summary.status().code() == ErrorCode::kPreempted) return summary;
  if (ranks_->size() > 1 && !all_know_) {
    ReportFailure(summary.status());
    ranks_->Abort(ExitCode(ErrorCode::kPeer));
  }
  // Where it cannot be written the error that is returned says more.
  if (is_root()) (void)status_.Fail({.rank = -1, .what = summary.status().message()}, 0);
  return summary;
}

Result<TrainSummary> Trainer::RunEpochs() {
  const Clock::time_point start = Clock::now();
  status_.Enter("start", state_);
  if (is_root()) WSI_RETURN_IF_ERROR(status_.Start(state_));
  WSI_ASSIGN_OR_RETURN(watch_, PeerWatch::Start(*ranks_, [this](int rank) { ReportEnded(rank); }));
  WSI_RETURN_IF_ERROR(BroadcastPersistents(*ranks_, *executor_, SharedState::kEverything));
  // With several ranks no rank knows whether all of them have had bad slides only.
  options_.loader.delivered_before = state_.loss_count * batch_ + ranks_->size() - 1;
  WSI_ASSIGN_OR_RETURN(feeder_, BatchFeeder::Make(executor_, program_, manifest_, options_.loader));
  WSI_RETURN_IF_ERROR(EnqueueEpoch(state_.epoch, state_.position));
  consumed_before_ = 0;
  position_before_ = state_.position;
  executor_->SetScalar("seed", state_.seed);
  WSI_RETURN_IF_ERROR(
      Log("start",
          {{"epoch", state_.epoch}, {"step", state_.step}, {"ranks", int64_t{ranks_->size()}}}));
  while (state_.epoch < options_.epochs && state_.step < options_.max_steps) {
    WSI_RETURN_IF_ERROR(RunEpoch());
    const bool reached = state_.best_metric >= options_.until_auc;
    if (reached && state_.epoch >= options_.min_epochs) break;
  }
  progress_.Finish();
  if (state_.position > 0) WSI_RETURN_IF_ERROR(SaveCheckpoint());  // max_steps, mid-epoch.
  if (is_root()) WSI_RETURN_IF_ERROR(status_.Write("finished", state_));
  summary_.state = state_;
  summary_.loader = feeder_->stats();
  summary_.seconds = SecondsSince(start);
  WSI_RETURN_IF_ERROR(
      Log("end", {{"step", state_.step}, {"loader_wait_seconds", summary_.loader.wait_seconds}}));
  return summary_;
}

Status Trainer::RunEpoch() {
  if (enqueued_epoch_ == state_.epoch && state_.epoch + 1 < options_.epochs) {
    WSI_RETURN_IF_ERROR(EnqueueEpoch(state_.epoch + 1, 0));
  }
  while (state_.step < options_.max_steps) {
    WSI_ASSIGN_OR_RETURN(const bool stepped, MicroStep());
    if (!stepped) return EndEpoch();
    if (micro_step_ != 0) continue;
    if (must_stop_) {
      WSI_RETURN_IF_ERROR(SaveCheckpoint());
      if (is_root()) WSI_RETURN_IF_ERROR(status_.Write("preempted", state_));
      return Agreed({ErrorCode::kPreempted, fmt::format("stopped after step {}; go on with "
                                                        "--resume auto",
                                                        state_.step)});
    }
    const bool skipped = loss_scale_.state().skipped_in_row > 0;
    if (options_.checkpoint_steps > 0 && !skipped && state_.step % options_.checkpoint_steps == 0) {
      WSI_RETURN_IF_ERROR(SaveCheckpoint());
    }
  }
  return {};
}

Result<bool> Trainer::MicroStep() {
  status_.Enter("waiting for slides", state_);
  WSI_ASSIGN_OR_RETURN(const bool has_batch, NextBatch());
  status_.Enter("training step", state_);
  if (!has_batch) return false;
  WSI_RETURN_IF_ERROR(WriteLabels(*executor_, program_, *manifest_, micro_rows_));
  const double rate = rate_.At(state_.step);
  executor_->SetScalar("lr", rate);
  executor_->SetScalar("step", state_.step + 1);
  if (finite_flag_ >= 0) ScaleLoss();
  const bool is_last = micro_step_ + 1 == accumulation_;
  WSI_ASSIGN_OR_RETURN(const double loss,
                       executor_->Run(program_, is_last ? kAllPhases : kNoUpdate));
  const bool in_order = ranks_->size() > 1 && executor_->plan().deterministic();
  if (in_order && !is_last) WSI_RETURN_IF_ERROR(GatherAccumulators(*ranks_, *executor_));
  WSI_RETURN_IF_ERROR(ShareLoss(loss));
  micro_step_ = is_last ? 0 : micro_step_ + 1;
  if (is_last) {
    const auto losses = static_cast<double>(accumulation_ * ranks_->size());
    WSI_RETURN_IF_ERROR(EndStep(micro_loss_ / losses, rate));
  }
  return true;
}

std::string Trainer::MicroSlides() const {
  std::vector<std::string> slides;
  slides.reserve(micro_rows_.size());
  for (const int64_t row : micro_rows_) {
    slides.push_back(manifest_->rows[static_cast<size_t>(row)].slide_id);
  }
  return fmt::format("{}", fmt::join(slides, ", "));
}

// In a step whose overflow would end the run, watches for the first gradient that has one.
void Trainer::ScaleLoss() {
  executor_->SetScalar("loss_scale", loss_scale_.state().scale);
  if (micro_step_ > 0) return;
  overflow_.clear();
  bad_loss_.clear();
  executor_->SetGradientTap({});
  if (!loss_scale_.IsLastChance()) return;
  executor_->SetGradientTap([this](const std::string& name, const Tensor& gradient) {
    const std::vector<double> values = gradient.ToDoubles();
    const bool finite =
        std::all_of(values.begin(), values.end(), [](double v) { return std::isfinite(v); });
    if (!finite && overflow_.empty()) {
      overflow_ = fmt::format("the gradient of {} on slide {} overflows", name, MicroSlides());
    }
    return Status();
  });
}

Result<bool> Trainer::WasSkipped() const {
  if (finite_flag_ < 0) return false;
  WSI_ASSIGN_OR_RETURN(const Tensor flag, executor_->ReadPersistent(finite_flag_));
  return flag.ToDoubles()[0] == 0;
}

Status Trainer::SkipStep(double step_loss) {
  const double scale = loss_scale_.state().scale;
  if (!loss_scale_.Skip()) {
    WSI_ASSIGN_OR_RETURN(const std::vector<std::string> reasons,
                         ranks_->Gather(bad_loss_.empty() ? overflow_ : bad_loss_));
    std::string reason;
    for (const std::string& found : reasons) {
      if (reason.empty()) reason = found;
    }
    return Agreed(NumericError(fmt::format(
        "step {}: {} at loss scale {}, after {} steps skipped in a row; try --precision bf16, or "
        "resume with a lower --learning-rate",
        state_.step + 1, reason.empty() ? "the sum of the gradients overflows" : reason, scale,
        loss_scale_.state().skipped_in_row)));
  }
  return Log(
      "skip",
      {{"epoch", state_.epoch}, {"step", state_.step}, {"loss", step_loss}, {"loss_scale", scale}});
}

Status Trainer::EndStep(double step_loss, double rate) {
  micro_loss_ = 0;
  const double scale = loss_scale_.state().scale;
  WSI_ASSIGN_OR_RETURN(const bool skipped, WasSkipped());
  if (!std::isfinite(step_loss)) {
    // A skipped step has changed no parameter, but statistics that took in what overflowed stay.
    WSI_ASSIGN_OR_RETURN(const bool is_state_finite, IsStateFinite());
    if (!skipped || !is_state_finite) return EndForLoss();
  }
  if (skipped) return SkipStep(step_loss);
  ++state_.step;
  if (finite_flag_ >= 0) loss_scale_.Keep();
  progress_.Update(
      fmt::format("epoch {}/{}", state_.epoch + 1, options_.epochs), state_.position,
      StepsPerEpoch() * GlobalBatch(),
      fmt::format("loss {:.4f}", state_.loss_sum / static_cast<double>(state_.loss_count)));
  EventFields fields = {
      {"epoch", state_.epoch}, {"step", state_.step}, {"loss", step_loss}, {"learning_rate", rate}};
  if (finite_flag_ >= 0) fields.emplace_back("loss_scale", scale);
  return Log("step", fields);
}

Status Trainer::EndEpoch() {
  const double loss = state_.loss_count > 0
                          ? state_.loss_sum / static_cast<double>(state_.loss_count)
                          : std::numeric_limits<double>::quiet_NaN();
  summary_.last_loss = loss;
  if (state_.loss_count == 0 && ranks_->size() > 1) {
    return Agreed(
        InvalidInput("no step of the epoch has a loss: some rank could read none of its slides, or "
                     "all overflow"));
  }
  Score score{.metric = -loss, .loss = loss};
  status_.Enter("validation", state_);
  if (!validation_rows_.empty()) {
    WSI_ASSIGN_OR_RETURN(score, Validate());
  }
  const EvaluationMetrics& v = summary_.validation;
  constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
  WSI_RETURN_IF_ERROR(
      Log("epoch", {{"epoch", state_.epoch},
                    {"step", state_.step},
                    {"train_loss", loss},
                    {"validation_loss", validation_rows_.empty() ? kNone : score.loss},
                    {"validation_accuracy", v.accuracy},
                    {"validation_auc", v.auc.value}}));
  progress_.Print(validation_rows_.empty()
                      ? fmt::format("epoch {}: loss {:.4f}", state_.epoch + 1, loss)
                      : fmt::format("epoch {}: loss {:.4f}, validation accuracy {:.3f}, AUC {:.3f}",
                                    state_.epoch + 1, loss, v.accuracy, v.auc.value));
  const bool ties = score.metric == state_.best_metric && score.loss < state_.best_loss;
  if (score.metric > state_.best_metric || ties) WSI_RETURN_IF_ERROR(SaveBest(score));
  WSI_RETURN_IF_ERROR(SaveModel("last.safetensors"));
  if (rate_.EndEpoch(score.metric)) WSI_RETURN_IF_ERROR(GoBackToBest());
  state_.learning_rate = rate_.state();
  // Not the position: looking for this epoch's last slide may have skipped the next one's first.
  consumed_before_ += own_rows_;
  own_rows_ = next_own_rows_;
  position_before_ = 0;
  state_.position = 0;
  state_.loss_sum = 0;
  state_.loss_count = 0;
  ++state_.epoch;
  // Amid an accumulated step (slides were skipped) the accumulators are not a checkpoint's.
  return micro_step_ == 0 ? SaveCheckpoint() : Status();
}

Status Trainer::GoBackToBest() {
  progress_.Print("plateau: lower learning rate, back to the best weights");
  if (is_root()) {
    WSI_RETURN_IF_ERROR(
        LoadWeights(options_.run_dir + "/best.safetensors", *executor_, PersistentKind::kModel));
  }
  return BroadcastPersistents(*ranks_, *executor_, SharedState::kEverything);
}

// Running statistics are those of rank 0, whose checkpoint it will be.
Result<Trainer::Score> Trainer::Validate() {
  WSI_RETURN_IF_ERROR(BroadcastPersistents(*ranks_, *executor_, SharedState::kStatistics));
  const Result<std::vector<SlidePrediction>> predicted = PredictOnRanks(
      *ranks_, *executor_, *manifest_, validation_rows_, options_.loader, &progress_);
  if (!predicted.ok()) return Agreed(predicted.status());
  const std::vector<SlidePrediction>& predictions = *predicted;
  summary_.validation = Evaluate(*manifest_, predictions);
  const double auc = summary_.validation.auc.value;
  return Score{.metric = std::isnan(auc) ? summary_.validation.accuracy : auc,
               .loss = MeanLogLoss(*manifest_, predictions)};
}

Status Trainer::SaveBest(const Score& score) {
  state_.best_metric = score.metric;
  state_.best_loss = score.loss;
  state_.best_step = state_.step;
  return SaveModel("best.safetensors");
}

Status Trainer::SaveModel(const std::string& name) {
  if (!is_root()) return {};
  return SaveWeights(options_.run_dir + "/" + name, *executor_, PersistentKind::kModel,
                     {.force = true, .ops = options_.file_ops});
}

Status Trainer::SaveCheckpoint() {
  state_.learning_rate = rate_.state();
  state_.loss_scale = loss_scale_.state();
  status_.Enter("checkpoint", state_);
  if (!is_root()) return {};
  WSI_RETURN_IF_ERROR(checkpoints_.Save(*executor_, state_, options_.keep_checkpoints));
  return status_.Write("training", state_);
}

}  // namespace wsi
