// Learning-rate schedules.
#pragma once

#include <cstdint>
#include <string>

#include "runtime/base/status.h"

namespace wsi {

enum class ScheduleKind : uint8_t { kConstant, kStep, kCosine, kPlateau };

struct LearningRateOptions {
  ScheduleKind kind = ScheduleKind::kConstant;
  double base_rate = 0.01;
  double factor = 0.1;       // kStep and kPlateau multiply by this.
  int64_t step_epochs = 30;  // kStep: after every so many epochs.
  int64_t total_epochs = 1;  // kCosine: reaches zero after these (Loshchilov, Hutter 2017).
  int64_t patience = 24;     // kPlateau: after so many epochs without a better metric.
  int64_t warmup_steps = 0;  // All: the first steps rise linearly from base_rate / steps.
  int64_t steps_per_epoch = 1;
};

Result<ScheduleKind> ParseScheduleKind(const std::string& name);
// Refuses numbers that make no schedule, naming the flag.
Status ValidateSchedule(const LearningRateOptions& options);

// Answers the rate of each step. Only kPlateau has state, which checkpoints keep.
class LearningRate {
 public:
  explicit LearningRate(const LearningRateOptions& options) : options_(options) {}

  // Of optimizer step `step`, counted from 0.
  double At(int64_t step) const;

  // After an epoch that evaluated to `metric` (higher is better). True: the rate was
  // just lowered, and the caller goes back to the best weights (plateau with rollback,
  // Chen et al. 2021).
  bool EndEpoch(double metric);

  struct State {
    double scale = 1;  // What plateaus have made of the rate so far.
    double best_metric = -1e300;
    int64_t epochs_since_best = 0;
    bool operator==(const State&) const = default;
  };
  const State& state() const { return state_; }
  void Restore(const State& state) { state_ = state; }

 private:
  LearningRateOptions options_;
  State state_;
};

}  // namespace wsi
