// Trainer: epochs of optimizer steps over slides, with validation, checkpoints and
// exact resumption.
//
//   RUN_DIR/run.json          what was trained on what, and the classes in order
//           events.jsonl      every step and epoch (events.h)
//           status.json       where the run stands now
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
#include "runtime/executor/executor.h"
#include "runtime/slides/loader.h"
#include "runtime/slides/manifest.h"
#include "runtime/train/batch_feeder.h"
#include "runtime/train/checkpoint.h"
#include "runtime/train/evaluation.h"
#include "runtime/train/events.h"
#include "runtime/train/learning_rate.h"
#include "runtime/train/loss_scale.h"

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
  LoaderOptions loader;         // Its seed is the trainer's.
  FileOps* file_ops = nullptr;  // Outlives the trainer; null: the system's.
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

  // Goes on from the newest checkpoint; false if there is none.
  Result<bool> Resume();

  // Trains to the end. When `stop` becomes true, finishes the step, saves a checkpoint and
  // returns kPreempted. kNumeric, naming step and slides, when the loss is not finite, and
  // the first gradient too, when loss scaling does not end overflows: the last checkpoint is
  // from before.
  Result<TrainSummary> Run(const std::atomic<bool>& stop);

 private:
  // Of an epoch: by `metric`, and among equals by `loss`.
  struct Score {
    double metric = 0;  // AUC of validation, its accuracy where a class is missing, or -loss.
    double loss = 0;    // Of validation, or of training where there is none.
  };

  Trainer(Executor* executor, const Manifest* manifest, std::vector<int64_t> train_rows,
          std::vector<int64_t> validation_rows, const TrainOptions& options, EventLog events);
  Status StartLossScale();
  std::string MicroSlides() const;
  int64_t StepsPerEpoch() const;
  std::vector<int64_t> RowsOfEpoch(int64_t epoch, int64_t skip) const;
  Result<TrainSummary> RunEpochs(const std::atomic<bool>& stop);
  Status RunEpoch(const std::atomic<bool>& stop);
  // One micro-step; false at the end of the epoch.
  Result<bool> MicroStep();
  void ScaleLoss();
  Result<bool> WasSkipped() const;
  Status EndStep(double step_loss, double rate);
  Status SkipStep(double step_loss);
  Status EndEpoch();
  Result<Score> Validate();
  Status SaveBest(const Score& score);
  Status SaveCheckpoint();
  Status WriteStatus(const std::string& phase);

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
  EventLog events_;
  Progress progress_;
  std::unique_ptr<BatchFeeder> feeder_;
  TrainerState state_;
  TrainSummary summary_;
  int64_t consumed_before_ = 0;  // By the feeder, before this epoch (less what a resume skipped).
  int64_t enqueued_epoch_ = -1;  // The last that the feeder was asked for.
  int64_t micro_step_ = 0;       // Of the current optimizer step.
  double micro_loss_ = 0;
  std::vector<int64_t> micro_rows_;  // Of the current micro-step.
  std::string overflow_;             // What overflowed first in a step that must not be skipped.
};

}  // namespace wsi
