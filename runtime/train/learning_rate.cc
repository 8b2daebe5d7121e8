#include "runtime/train/learning_rate.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>

namespace wsi {

Result<ScheduleKind> ParseScheduleKind(const std::string& name) {
  if (name == "constant") return ScheduleKind::kConstant;
  if (name == "step") return ScheduleKind::kStep;
  if (name == "cosine") return ScheduleKind::kCosine;
  if (name == "plateau") return ScheduleKind::kPlateau;
  return UsageError(
      fmt::format("--schedule {}: unknown; choose constant, step, cosine or plateau", name));
}

Status ValidateSchedule(const LearningRateOptions& options) {
  if (!std::isfinite(options.base_rate) || options.base_rate < 0) {
    return UsageError(fmt::format("--learning-rate {}: must be at least 0", options.base_rate));
  }
  if (!(options.factor > 0 && options.factor <= 1)) {
    return UsageError(fmt::format("--lr-factor {}: must be above 0 and at most 1", options.factor));
  }
  if (options.step_epochs < 1 || options.patience < 1 || options.warmup_steps < 0) {
    return UsageError("--lr-step-epochs and --patience must be at least 1, --warmup at least 0");
  }
  return {};
}

double LearningRate::At(int64_t step) const {
  double rate = options_.base_rate * state_.scale;
  if (step < options_.warmup_steps) {
    return rate * static_cast<double>(step + 1) / static_cast<double>(options_.warmup_steps);
  }
  const int64_t epoch = step / std::max<int64_t>(options_.steps_per_epoch, 1);
  if (options_.kind == ScheduleKind::kStep) {
    const int64_t lowered = epoch / options_.step_epochs;
    rate *= std::pow(options_.factor, static_cast<double>(lowered));
  }
  if (options_.kind == ScheduleKind::kCosine) {
    const double total =
        static_cast<double>(std::max<int64_t>(options_.total_epochs * options_.steps_per_epoch, 1));
    const double progress = std::min(static_cast<double>(step) / total, 1.0);
    rate *= 0.5 * (1 + std::cos(std::numbers::pi * progress));
  }
  return rate;
}

bool LearningRate::EndEpoch(double metric) {
  if (metric > state_.best_metric) {
    state_.best_metric = metric;
    state_.epochs_since_best = 0;
    return false;
  }
  ++state_.epochs_since_best;
  if (options_.kind != ScheduleKind::kPlateau || state_.epochs_since_best < options_.patience) {
    return false;
  }
  state_.epochs_since_best = 0;
  state_.scale *= options_.factor;
  return true;
}

}  // namespace wsi
