// ResidencyCost: what a choice of residencies costs: memory by tier and time.
#pragma once

#include <span>
#include <vector>

#include "passes/copy_timing.h"
#include "passes/residency_model.h"
#include "passes/residency_schedule.h"

namespace wsi {

struct StepCost {
  bool is_possible = false;
  Bytes device_peak = 0;
  double excess = 0;  // Bytes above the device budget, summed over the operators.
  Bytes host_peak = 0;
  double seconds = 0;
  double stalled = 0;
};

class ResidencyCost {
 public:
  // `budget`: of the device, for what copies may keep; 0: any. Borrows the model.
  ResidencyCost(const ResidencyModel& model, Bytes budget, CopyMode mode)
      : model_(model), scheduler_(model), budget_(budget), mode_(mode) {}

  StepCost Evaluate(std::span<const GapChoice> choices);

  // Of the last evaluation.
  const ResidencySchedule& schedule() const { return *schedule_; }
  const std::vector<TimedCopy>& copies() const { return copies_; }
  // Device bytes at each operator, and at the end of the step, with copies on demand.
  const std::vector<Bytes>& demand_bytes() const { return demand_; }

 private:
  void CountBytes();
  void CountInPlace(size_t position);
  void ListCopies();
  Bytes HostPeak();

  const ResidencyModel& model_;
  ResidencyScheduler scheduler_;
  Bytes budget_;
  CopyMode mode_;
  const ResidencySchedule* schedule_ = nullptr;
  std::vector<double> seconds_;
  std::vector<Bytes> demand_;
  std::vector<Bytes> live_;
  std::vector<Bytes> host_;
  std::vector<TimedCopy> copies_;
};

}  // namespace wsi
