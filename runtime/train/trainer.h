// Trainer: epochs of optimizer steps over slides, with validation, checkpoints and
// exact resumption, on one rank or several.
//
// With R ranks, global micro-step j * R + r is micro-step j of rank r, and a step is as one
// rank with R times the accumulation takes it. Before each micro-step the ranks agree to go
// on, behind it on the loss. Rank 0 alone writes.
//
//   RUN_DIR/run.json          what was trained on what, and the classes in order
//           events.jsonl      every step and epoch (events.h)
//           status.json       where the run stands now (run_status.h)
//           checkpoints/      checkpoint.h
//           best.safetensors  weights of the best validation, last.safetensors of the last epoch
#pragma once

#include <atomic>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runtime/base/status.h"
#include "runtime/comm/peer_watch.h"
#include "runtime/executor/executor.h"
#include "runtime/slides/loader.h"
#include "runtime/slides/manifest.h"
#include "runtime/train/batch_feeder.h"
#include "runtime/train/checkpoint.h"
#include "runtime/train/evaluation.h"
#include "runtime/train/events.h"
#include "runtime/train/learning_rate.h"
#include "runtime/train/loss_scale.h"
#include "runtime/train/run_status.h"

namespace wsi {

struct TrainOptions {
  std::string run_dir;
  int64_t epochs = 1;
  int64_t max_steps = std::numeric_limits<int64_t>::max();  // Ends there, with a checkpoint.
  int64_t seed = 0;
  std::optional<double> loss_scale;  // Where an fp16 run begins; none: LossScale::kFirst.
  LearningRateOptions schedule;      // steps_per_epoch and total_epochs are the trainer's.
  double until_auc = 2;              // Ends when validation has reached it,
  int64_t min_epochs = 1;            // but not before so many epochs.
  int64_t checkpoint_steps = 0;      // Besides every epoch's end; 0: only there.
  int keep_checkpoints = 2;
  LoaderOptions loader;                  // Its seed is the trainer's.
  FileOps* file_ops = nullptr;           // Outlives the trainer; null: the system's.
  Communicator* communicator = nullptr;  // Outlives the trainer; null: one rank.
};

struct TrainSummary {
  TrainerState state;
  double last_loss = std::numeric_limits<double>::quiet_NaN();  // Mean of the last epoch.
  EvaluationMetrics validation;                                 // Of the last epoch.
  LoaderStats loader;
  double seconds = 0;
};

// Borrows executor and manifest. Not thread-safe.
class Trainer {
 public:
  // `train_rows` and `validation_rows` (may be empty) index the manifest.
  static Result<std::unique_ptr<Trainer>> Make(Executor* executor, const Manifest* manifest,
                                               std::vector<int64_t> train_rows,
                                               std::vector<int64_t> validation_rows,
                                               const TrainOptions& options);

  // Goes on from the newest checkpoint, which rank 0 reads; false if there is none. Collective.
  Result<bool> Resume();

  // Trains to the end. When `stop` becomes true, finishes the step, saves a checkpoint and
  // returns kPreempted. All ranks return the same error; one that a rank alone has, and one of
  // the communicator, ends them all with kPeer's exit code, when status.json has been told
  // rank, step and operation. kNumeric, naming step and slides, when the loss is not finite
  // (with loss scaling: and the step was not skipped, or left its mark on running statistics),
  // and the first gradient too, when loss scaling does not end overflows: the last checkpoint
  // is from before.
  Result<TrainSummary> Run(const std::atomic<bool>& stop);

 private:
  // Of an epoch: by `metric`, and among equals by `loss`.
  struct Score {
    double metric = 0;  // AUC of validation, its accuracy where a class is missing, or -loss.
    double loss = 0;    // Of validation, or of training where there is none.
  };

  Trainer(Executor* executor, const Manifest* manifest, std::vector<int64_t> train_rows,
          std::vector<int64_t> validation_rows, const TrainOptions& options,
          std::optional<EventLog> events);
  bool is_root() const { return ranks_->rank() == 0; }
  Status Agreed(Status status);
  void ReportFailure(const Status& status);
  // On the watch's thread.
  void ReportEnded(int rank);
  Status Log(const std::string& event, const EventFields& fields);
  Status StartLossScale();
  std::string MicroSlides() const;
  int64_t GlobalBatch() const { return batch_ * accumulation_ * ranks_->size(); }
  int64_t StepsPerEpoch() const;
  Result<TrainSummary> RunEpochs();
  Status RunEpoch();
  Status EnqueueEpoch(int64_t epoch, int64_t skip);
  // Whether every rank has a batch; false at the end of the epoch.
  Result<bool> NextBatch();
  // One micro-step; false at the end of the epoch.
  Result<bool> MicroStep();
  Status ShareLoss(double loss);
  // The error of a loss that is not finite, on all ranks.
  Status EndForLoss();
  Result<bool> IsStateFinite() const;
  void ScaleLoss();
  Result<bool> WasSkipped() const;
  Status EndStep(double step_loss, double rate);
  Status SkipStep(double step_loss);
  Status EndEpoch();
  Result<Score> Validate();
  Status SaveBest(const Score& score);
  Status SaveModel(const std::string& name);
  Status GoBackToBest();
  Status SaveCheckpoint();

  std::unique_ptr<Communicator> only_rank_;  // Where the options name no ranks.
  Communicator* ranks_;
  Executor* executor_;
  const Manifest* manifest_;
  std::vector<int64_t> train_rows_;
  std::vector<int64_t> validation_rows_;
  TrainOptions options_;
  int program_ = 0;
  int64_t batch_ = 1;
  int64_t accumulation_ = 1;
  LearningRate rate_;
  LossScale loss_scale_;
  int finite_flag_ = -1;  // Persistent that says whether a step counts; -1: every step does.
  CheckpointStore checkpoints_;
  RunStatus status_;
  std::optional<EventLog> events_;  // Rank 0's.
  Progress progress_;
  std::unique_ptr<BatchFeeder> feeder_;
  TrainerState state_;
  TrainSummary summary_;
  const std::atomic<bool>* stop_ = nullptr;  // During Run.
  bool must_stop_ = false;                   // As all ranks agreed behind the last micro-step.
  std::unique_ptr<PeerWatch> watch_;         // During Run.
  bool all_know_ = false;                    // The error that Run returns.
  int64_t consumed_before_ = 0;              // By the feeder, before this epoch.
  int64_t position_before_ = 0;              // Where in this epoch the feeder began.
  int64_t own_rows_ = 0;                     // Of this rank in this epoch, and
  int64_t next_own_rows_ = 0;                // in the next.
  int64_t enqueued_epoch_ = -1;              // The last that the feeder was asked for.
  int64_t micro_step_ = 0;                   // Of the current optimizer step.
  double micro_loss_ = 0;
  std::vector<int64_t> micro_rows_;  // Of the current micro-step.
  std::string overflow_;             // What overflowed first in a step that must not be skipped.
  std::string bad_loss_;             // This rank's loss, where the step has one that is not finite.
};

}  // namespace wsi
